"""An HTTP/1.1 client for any method, with bodies that are streamed and heads as they are on the wire.

`http_client.HttpClient` is what others use. Below it only public interfaces are used: asyncio's transports, aiohappyeyeballs
to connect to the first of several addresses that answers, and httptools (llhttp) to take chunked bodies apart.
"""
