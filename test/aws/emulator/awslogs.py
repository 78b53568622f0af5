"""A container's output to CloudWatch Logs, as the awslogs driver: one event a line, in batches."""

import os
import select
import sys
import time

BATCH_SECONDS = 0.1
BATCH_EVENTS_MAX = 500


def client_of(cloud, configuration, executor, stream_end):
    """(CloudWatch's client, group, stream) with the stream made; None without that driver."""
    if not configuration or configuration.get("logDriver") != "awslogs":
        return None
    options = configuration["options"]
    stream = f"{options.get('awslogs-stream-prefix', 'ecs')}/{stream_end}"
    client = cloud.client(executor, "logs")
    client.create_log_stream(logGroupName=options["awslogs-group"], logStreamName=stream)
    return client, options["awslogs-group"], stream


def pump(stream, log):
    """Until `stream` ends."""
    descriptor, buffer, batch, due = stream.fileno(), b"", [], None
    while True:
        wait = None if due is None else max(0, due - time.monotonic())
        readable, _, _ = select.select([descriptor], [], [], wait)
        chunk = os.read(descriptor, 65536) if readable else None
        if chunk:
            *lines, buffer = (buffer + chunk).split(b"\n")
            batch += [event(line) for line in lines if line]
            due = due or time.monotonic() + BATCH_SECONDS
        if batch and (not readable or chunk == b"" or len(batch) > BATCH_EVENTS_MAX):
            send(log, batch)
            batch, due = [], None
        elif not readable:
            due = None
        if chunk == b"":
            if buffer:
                send(log, [event(buffer)])
            return


def event(line):
    return {"timestamp": int(time.time() * 1000), "message": line.decode(errors="replace")}


def send(log, events):
    if log is None:
        return
    client, group, stream = log
    try:
        client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
    except Exception as error:
        print(f"lines of {stream} are lost: {error}", file=sys.stderr, flush=True)
