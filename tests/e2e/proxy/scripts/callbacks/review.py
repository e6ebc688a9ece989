"""Approve each post as soon as it is called back as completed, until so many were approved."""

import json
import os
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

API, KEY, PORT = (os.environ[name] for name in ("API", "KEY", "PORT"))


class Receiver(BaseHTTPRequestHandler):
    approved = 0

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if event["type"] == "generated_post.completed" and event["data"]["review_status"] == "pending_review":
            url, headers = (
                f"{API}/v1/generated-posts/{event['job_id']}/approve",
                {"Authorization": f"Bearer {KEY}"},
            )
            urllib.request.urlopen(urllib.request.Request(url, method="POST", headers=headers), timeout=30)
            Receiver.approved += 1
            print(event["job_id"], "approved", flush=True)
        self.send_response(204)
        self.end_headers()


server = HTTPServer(("127.0.0.1", int(PORT)), Receiver)
while Receiver.approved < int(os.environ["COUNT"]):
    server.handle_request()
