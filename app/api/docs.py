"""The interactive documentation, served from files of our own so that it works without internet."""

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
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="Vitrine API",
        swagger_js_url="/docs/static/swagger-ui-bundle.js",
        swagger_css_url="/docs/static/swagger-ui.css",
        swagger_favicon_url="/docs/static/favicon-32x32.png",
        swagger_ui_parameters={"docExpansion": "list", "tryItOutEnabled": True},
    )


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
