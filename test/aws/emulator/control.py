"""What a test may ask of the emulator itself: /_emulator/WORD, JSON in and out.

mishaps  POST: orders (faults.Mishaps); GET: what is ordered
user     POST {name, policy}: a user with that policy alone; its keys
role     POST {name, trust, policy}: a role, for assume-role tests
calls    GET: [[action, caller, status] …] since the last DELETE
state    GET: tasks, targets, where the load balancers' names are answered
kill     POST {task}: the task's processes die, as when its host does
"""

import json

import access
from faults import Fault

cloud = None    # set by the emulator when it starts


def make_user(name, policy):
    store = access.iam()
    if name in store.users:
        for key in list(store.users[name].access_keys):
            store.delete_access_key(key.access_key_id, name)
    else:
        store.create_user("us-east-1", name)
    store.users[name].policies = {"given": json.dumps(policy)}
    key = store.create_access_key(user_name=name)
    return {"access_key_id": key.access_key_id, "secret_access_key": key.secret_access_key,
            "arn": f"arn:aws:iam::{access.ACCOUNT}:user/{name}"}


def make_role(name, trust, policy):
    store = access.iam()
    role = store.create_role(name, json.dumps(trust), "/", None, "", [], 3600)
    role.policies = {"given": json.dumps(policy)}
    return {"arn": role.arn}


def state():
    fronts = {}
    for host, name in cloud.balancer.fronts().items():
        if name in cloud.balancer.sockets:
            fronts[host] = f"https://127.0.0.1:{cloud.balancer.port(name)}"
    plain = {}
    for balancer in cloud.balancer.elb.load_balancers.values():
        for listener in balancer.listeners.values():
            name = f"l{listener.arn.rpartition('/')[2]}"
            if listener.protocol == "HTTP" and name in cloud.balancer.sockets:
                plain[balancer.dns_name] = f"http://127.0.0.1:{cloud.balancer.port(name)}"
    tasks = [{"id": t.id, "address": t.address, "zone": t.zone, "status": t.status, "health": t.health,
              "pid": t.pid, "group": t.group, "capacity": t.capacity, "exit_code": t.exit_code,
              "reason": t.reason, "stop_code": t.stop_code,
              "definition": t.definition["taskDefinitionArn"]} for t in list(cloud.tasks_by_id.values())]
    targets = [{"address": t.address, "state": t.state, "description": t.description}
               for t in list(cloud.balancer.targets.values())]
    return {"tasks": tasks, "targets": targets, "https": fronts, "http": plain}


def answer(words, environ, body):
    method, word = environ["REQUEST_METHOD"], words[0] if words else ""
    given = json.loads(body) if body else {}
    if word == "mishaps":
        return 200, cloud.mishaps.order(given) if method == "POST" else cloud.mishaps.orders
    if word == "user" and method == "POST":
        return 200, make_user(given["name"], given["policy"])
    if word == "role" and method == "POST":
        return 200, make_role(given["name"], given["trust"], given["policy"])
    if word == "calls":
        if method == "DELETE":
            cloud.front.calls = []
        return 200, cloud.front.calls
    if word == "state":
        return 200, state()
    if word == "kill" and method == "POST":
        cloud.tasks_by_id[given["task"].rpartition("/")[2]].kill()
        return 200, {}
    raise Fault("NotFound", f"no such control: {word}", 404)
