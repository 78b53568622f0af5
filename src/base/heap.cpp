#include "base/heap.h"

#include <malloc.h>

namespace berth {

namespace {

/// Blocks from here on are worth two system calls and new pages.
constexpr int large_block_bytes = 1 << 20;
/// What may stay free at the end of the heap: usual messages come and go within it.
constexpr int spare_heap_bytes = 8 << 20;

}  // namespace

void map_large_blocks() {
  ::mallopt(M_MMAP_THRESHOLD, large_block_bytes);
  ::mallopt(M_TRIM_THRESHOLD, spare_heap_bytes);
}

void trim_heap() { ::malloc_trim(spare_heap_bytes); }

}  // namespace berth
