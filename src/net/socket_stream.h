#pragma once

#include <memory>

#include "net/pollable.h"
#include "net/stream.h"

namespace berth::net {

/// A stream over a connected kernel socket. `remote` is what accept or connect told.
std::unique_ptr<Stream> make_socket_stream(std::unique_ptr<Pollable> socket, Endpoint remote);

/// The reading end (write fails) or the writing end (read is at the end) of a pipe.
std::unique_ptr<Stream> make_pipe_stream(Clock& clock, int descriptor, Direction direction);

/// The descriptor of a stream made by make_socket_stream, whose stream is closed by that; null for others.
std::unique_ptr<Pollable> take_socket(Stream& stream);

/// The end of a kernel socket that getsockname(2) tells.
Endpoint local_endpoint(int descriptor);

/// Makes writing to a closed pipe or socket an error instead of a deadly signal, for the whole process.
/// Children get the default back.
void ignore_broken_pipes();

}  // namespace berth::net
