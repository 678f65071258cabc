"""`python -m benchmarks.bare --port PORT`: FastAPI routes that answer bytes from memory, and nothing else.

What recommendations are compared with: the same server, one worker, the same bytes.
"""

import argparse
import os
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response

ANSWER = "VITRINE_BENCH_ANSWER"
"""Variable that names the file with the bytes."""


def create_app() -> FastAPI:
    """The routes."""
    content = Path(os.environ[ANSWER]).read_bytes()
    app = FastAPI(openapi_url=None)

    @app.get("/v1/users/{user_id}/recommendations")
    async def get_recommendations(user_id: str, n: int = 10) -> Response:
        return Response(content, media_type="application/json")

    @app.post("/v1/recommendations")
    async def post_recommendations(request: Request) -> Response:
        await request.body()
        return Response(content, media_type="application/json")

    @app.get("/health/ready")
    async def get_readiness() -> Response:
        return Response(b"{}", media_type="application/json")

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    uvicorn.run(
        "benchmarks.bare:create_app",
        factory=True,
        port=parser.parse_args().port,
        access_log=False,
        log_level="warning",
    )
