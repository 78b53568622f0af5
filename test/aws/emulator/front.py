"""The one endpoint: checks every request, then lets the emulator's own handlers or moto answer it.

Paths of the emulator itself: /_emulator/… (the tests' control), /_task/… (a task's metadata and credentials).
"""

import contextlib
import io
import json
import sys
import threading
import time
import traceback

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

import access
import traces
import wire
from faults import Fault

CALLS_KEPT = 20_000


class Handler(WSGIRequestHandler):
    disable_nagle_algorithm = True

    def date_time_string(self, timestamp=None):
        skew = self.server.app.mishaps.get("clock", 0)
        return super().date_time_string((timestamp or time.time()) + skew)

    def log(self, *_):
        pass


class Front:
    def __init__(self, port, mishaps):
        self.mishaps = mishaps
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.private = {}       # first word of a path → function(words, environ, body) → (status, json)
        self.calls = []         # (action, caller's ARN, status): what was asked, by whom
        self.lock = threading.Lock()
        self.server = make_server("127.0.0.1", port, self, threaded=True, request_handler=Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def start(self):
        threading.Thread(target=self.server.serve_forever, name="front", daemon=True).start()

    def __call__(self, environ, start_response):
        words = environ["PATH_INFO"].strip("/").split("/")
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length) if length or environ.get("wsgi.input_terminated") else b""
        if words[0] in self.private:
            return self.answer_privately(words, environ, body, start_response)
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        # A bucket's policy may demand TLS, which the real endpoint speaks.
        environ["wsgi.url_scheme"] = "https"
        protocol, action = "query", "?"
        caller = None
        try:
            scope = access.scope_of(environ)
            if scope is None:
                raise Fault("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
            _, region, service = scope
            protocol = "s3" if service == "s3" else wire.model(service).protocol
            caller = access.authenticate(environ, body, self.mishaps)
            if environ["PATH_INFO"] == "/v1/traces":
                call = wire.Call("xray", "PutSpans", region, {}, "rest-json", body=body)
            else:
                call = wire.read_call(environ, body, service, region)
            call.caller, action = caller, call.action
            if self.mishaps.take("drop", action):
                return self.hang_up(environ)
            self.mishaps.strike(action)
            self.authorize(call)
            status, headers, answer = self.perform(call, environ)
            if self.mishaps.take("cut", action):
                return self.hang_up(environ)
        except Fault as fault:
            status, headers, answer = fault.response(protocol)
        except Exception:
            traceback.print_exc(file=sys.stderr)
            status, headers, answer = Fault("InternalFailure", "The emulator failed.", 500).response(protocol)
        self.note(action, caller, status)
        answer = answer.encode() if isinstance(answer, str) else answer
        headers.pop("content-length", None)
        headers.pop("Content-Length", None)
        start_response(f"{status} .", [(k, str(v)) for k, v in headers.items()] +
                       [("content-length", str(len(answer)))])
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else answer]

    def note(self, action, caller, status):
        with self.lock:
            self.calls.append((action, caller.arn if caller else "", status))
            del self.calls[:-CALLS_KEPT]

    @contextlib.contextmanager
    def noting(self, action, caller):
        """For what is asked beside the API: notes `action`, and whether a Fault refused it."""
        try:
            yield
        except Fault as fault:
            self.note(action, caller, fault.status)
            raise
        self.note(action, caller, 200)

    def authorize(self, call):
        call.resources = wire.resources_of(call)
        context = {"aws:RequestedRegion": call.region}
        if call.action == "cloudwatch:PutMetricData":
            context["cloudwatch:namespace"] = call.params.get("Namespace", "")
        if call.action != "sts:GetCallerIdentity":
            access.authorize(call.caller, call.action, call.resources, context, call.service)
        for role, service in wire.passed_roles(call):
            access.authorize(call.caller, "iam:PassRole", [role], {"iam:PassedToService": service},
                             call.service)

    def perform(self, call, environ):
        if call.operation == "PutSpans":
            answer = traces.receive(call.body, environ.get("CONTENT_TYPE", ""))
            return 200, {"content-type": "application/json"}, json.dumps(answer)
        handler = wire.HANDLERS.get((call.service, call.operation))
        if handler:
            return wire.write_answer(call, handler(call))
        captured = {}
        environ["wsgi.input"] = io.BytesIO(call.body)
        environ.pop("werkzeug.request", None)

        def keep(status, headers, *_):
            captured["status"], captured["headers"] = int(status.split()[0]), dict(headers)
        parts = self.moto(environ, keep)
        if call.action == "logs:PutLogEvents" and captured["status"] == 200:
            self.cloud.metrics.read_lines(event["message"] for event in call.params["logEvents"])
        return captured["status"], captured["headers"], without_nulls(b"".join(parts), call.protocol)

    def answer_privately(self, words, environ, body, start_response):
        status, answer = 500, {}
        try:
            status, answer = self.private[words[0]](words[1:], environ, body)
        except Fault as fault:
            status, answer = fault.status, {"code": fault.code, "message": fault.message}
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            answer = {"code": "InternalFailure", "message": str(error)}
        text = json.dumps(answer, default=str).encode()
        start_response(f"{status} .", [("content-type", "application/json"),
                                       ("content-length", str(len(text)))])
        return [text]

    @staticmethod
    def hang_up(environ):
        environ["werkzeug.socket"].shutdown(2)
        raise ConnectionResetError("as ordered")


def without_nulls(body, protocol):
    """AWS leaves out what it does not know, where moto writes null."""
    if protocol not in ("json", "rest-json") or b"null" not in body:
        return body

    def cleaned(value):
        if isinstance(value, dict):
            return {k: cleaned(v) for k, v in value.items() if v is not None}
        return [cleaned(item) for item in value] if isinstance(value, list) else value
    return json.dumps(cleaned(json.loads(body))).encode()
