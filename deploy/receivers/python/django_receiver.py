"""Django. In your project take `receive` alone, with `path("webhook", receive)` in `urlpatterns`.

As it stands it is a project of its own. Run it: `WEBHOOK_SECRET=whsec_… python django_receiver.py runserver`.
"""

import os
from typing import Any

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from once import handle_once
from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["WEBHOOK_SECRET"])


@csrf_exempt  # the signature says who it is from
@require_POST
def receive(request: HttpRequest) -> HttpResponse:
    try:
        event = webhook.verify(request.body, dict(request.headers))
    except (WebhookVerificationError, ValueError):  # forged, or nothing that was ever signed
        return HttpResponse(status=401)
    return JsonResponse({"handled": handle_once(event, handle)})


def handle(event: dict[str, Any]) -> None:
    """Put the work on a queue: the answer must not wait for it."""
    print(event["type"], event["job_id"], event["outcome"], flush=True)


urlpatterns = [path("webhook", receive)]

if __name__ == "__main__":
    settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="unused", ALLOWED_HOSTS=["*"])
    execute_from_command_line()
