"""The interactive documentation, served from files of our own so that it works without internet."""

import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

from fastapi import APIRouter, Response
from fastapi.openapi.docs import get_swagger_ui_html

from app.core.errors import NotFound

router = APIRouter(include_in_schema=False)

_FILES = {
    "swagger-ui-bundle.js": ("swagger-ui-bundle.js.gz", "text/javascript", "gzip"),
    "swagger-ui.css": ("swagger-ui.css.gz", "text/css", "gzip"),
    "favicon-32x32.png": ("favicon-32x32.png", "image/png", None),
}


@router.get("/docs")
async def show_docs() -> Response:
    page = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="Vitrine API",
        swagger_js_url="/docs/static/swagger-ui-bundle.js",
        swagger_css_url="/docs/static/swagger-ui.css",
        swagger_favicon_url="/docs/static/favicon-32x32.png",
        swagger_ui_parameters={"docExpansion": "list", "tryItOutEnabled": True},
    )
    page.headers["Content-Security-Policy"] = _policy(bytes(page.body))
    return page


@router.get("/docs/static/{name}")
async def get_docs_file(name: str) -> Response:
    if name not in _FILES:
        raise NotFound(f"There is no file '{name}'.")
    stored, media_type, encoding = _FILES[name]
    headers = {"Cache-Control": "public, max-age=86400"}
    if encoding:
        headers["Content-Encoding"] = encoding
    content = files("app.api").joinpath("static", stored).read_bytes()
    return Response(content, headers=headers, media_type=media_type)


def _policy(page: bytes) -> str:
    """Only our own files, and the one script that stands in the page itself."""
    scripts = [sha256(script).digest() for script in re.findall(rb"<script>(.*?)</script>", page, re.DOTALL)]
    hashes = " ".join(f"'sha256-{b64encode(script).decode()}'" for script in scripts)
    return (
        f"default-src 'none'; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
