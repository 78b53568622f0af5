#pragma once

/// How the allocator gives memory back to the kernel.
namespace berth {

/// Once, before there is much: large blocks are mapped one by one, and so given back as soon as they are
/// freed. By itself glibc takes blocks of up to 32 MB from the heap once it has seen one, where any small
/// block above them keeps them.
void map_large_blocks();

/// Gives back what is free. Looks at the whole heap: for a quiet moment.
void trim_heap();

}  // namespace berth
