"""What goes wrong: the error that AWS would answer with, and the mishaps that a test orders beforehand."""

import json
import threading
import uuid
from xml.sax.saxutils import escape


class Fault(Exception):
    """An answer of AWS that is not a success. `code` is the wire's error code, `status` its HTTP status."""

    def __init__(self, code, message, status=400):
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status = code, message, status

    def response(self, protocol):
        """(status, headers, body) in the service's protocol."""
        request_id = str(uuid.uuid4())
        code, message = escape(self.code), escape(self.message)
        if protocol in ("json", "rest-json"):
            body = json.dumps({"__type": self.code, "message": self.message})
            kind = "application/x-amz-json-1.1" if protocol == "json" else "application/json"
            headers = {"content-type": kind, "x-amzn-errortype": self.code, "x-amzn-requestid": request_id}
            return self.status, headers, body
        if protocol == "s3":
            body = f"<Error><Code>{code}</Code><Message>{message}</Message>" \
                   f"<RequestId>{request_id}</RequestId></Error>"
        elif protocol == "ec2":
            body = f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error>" \
                   f"</Errors><RequestID>{request_id}</RequestID></Response>"
        else:
            body = f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>" \
                   f"<Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        headers = {"content-type": "text/xml", "x-amzn-requestid": request_id}
        return self.status, headers, '<?xml version="1.0" encoding="UTF-8"?>\n' + body


class Mishaps:
    """Ordered through the control endpoint, POST /_emulator/mishaps, a JSON object. Each replaces the order
    of the same name; {} calls them all off.

    fail       {logical id: reason}       the resource fails when it is created or updated
    stuck      {logical id: reason}       the resource cannot be deleted
    delay      seconds                    before each resource; of a stack, so that it can be interrupted
    throttle   {"ecs:UpdateService": 3}   the next n calls answer ThrottlingException ("*" for any)
    error      {"ecr:PutImage": [code, message, status]}   every such call answers that
    drop       {"ecs:UpdateService": 2}   the connection of the next n calls is cut before an answer
    cut        {"…": 1}                   as drop, but after the call has done its work
    expired    [access key id]            ExpiredToken
    clock      seconds                    how far the service's clock is ahead of the caller's
    spot       true                       no Fargate Spot capacity
    fail_start reason                     no task gets so far as to run
    unvalidated true                      no certificate is ever validated
    unhealthy  true                       every target fails its health check
    hasty      n                          grace and start periods of tasks are n times shorter
    findings   {"CRITICAL": 1}            what an image scan finds
    """

    def __init__(self):
        self.lock = threading.Lock()
        self.orders = {}

    def order(self, orders):
        with self.lock:
            self.orders = {**self.orders, **orders} if orders else {}
            return self.orders

    def get(self, name, otherwise=None):
        return self.orders.get(name, otherwise)

    def take(self, name, operation):
        """True, and one fewer left, when a call of `operation` is to meet the mishap `name`."""
        with self.lock:
            counts = self.orders.get(name, {})
            for key in (operation, "*"):
                if counts.get(key, 0) > 0:
                    counts[key] -= 1
                    return True
        return False

    def strike(self, operation):
        """Raises what a call of "service:Operation" has been ordered to answer."""
        error = self.get("error", {}).get(operation)
        if error:
            raise Fault(*error)
        if self.take("throttle", operation):
            raise Fault("ThrottlingException", "Rate exceeded")
