"""Sync a persona, generate a post from what was found, approve it: each step begins when the one before is called back."""

import json
import os
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

API, KEY, PERSONA = (os.environ[name] for name in ("API", "KEY", "PERSONA"))
server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
HOOK = f"http://127.0.0.1:{server.server_port}/"


def call(method: str, path: str, body: object = None) -> Any:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    headers |= {"X-Webhook-URL": HOOK} if method == "POST" else {}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(API + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


class Receiver(BaseHTTPRequestHandler):
    is_over = False

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        match event["type"]:
            case "sync_job.completed":
                found = call("GET", f"/v1/personas/{PERSONA}/source-posts?limit=1")["data"][0]["id"]
                call("POST", "/v1/generate", {"source_post_id": found, "persona_id": PERSONA})
            case "generated_post.completed":
                call("POST", f"/v1/generated-posts/{event['job_id']}/approve")
            case "outgoing_post.published":
                print(event["job_id"], "published", flush=True)
        Receiver.is_over = event["object"] == "outgoing_post" or event["outcome"] != "succeeded"
        self.send_response(204)
        self.end_headers()


server.RequestHandlerClass = Receiver
call("POST", f"/v1/personas/{PERSONA}/sync")
while not Receiver.is_over:
    server.handle_request()
