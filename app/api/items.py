"""HTTP of items."""

from fastapi import APIRouter, Depends, Request, Response

from app.api.auth import scope
from app.api.batches import BATCH_PROBLEMS, post_batch
from app.api.edge import Cursor, EdgeDep, Limit, answer, body_of, read_body
from app.api.paths import ItemId
from app.api.problems import problems
from app.schemas.fields import BatchResult
from app.schemas.items import Item, ItemBatch, ItemFields, ItemPage, ItemPatch
from app.schemas.parsing import parse_body
from app.services import items
from app.services.batches import ITEMS

router = APIRouter(prefix="/v1/items", tags=["Ingest"])
writes = [Depends(scope("ingest"))]
reads = [Depends(scope("query", "ingest"))]
_EXAMPLE = {
    "title": "Blue stoneware mug",
    "description": "Holds 300 ml, dishwasher safe.",
    "categories": ["Kitchen > Mugs"],
    "brand": "Lume",
    "price": 9.5,
    "currency": "EUR",
    "tags": ["gift"],
    "availability": "in_stock",
}


@router.get("", response_model=ItemPage, responses=problems(), dependencies=reads)
async def list_items(edge: EdgeDep, cursor: Cursor = None, limit: Limit = 100) -> Response:
    """Items, in the order in which they were first seen."""
    return answer(await edge.read(items.list_items, cursor, limit))


@router.post(
    "/batch",
    response_model=BatchResult,
    responses=BATCH_PROBLEMS,
    dependencies=writes,
    openapi_extra=body_of(ItemBatch, {"items": [{"item_id": "mug", **_EXAMPLE}]}),
)
async def post_items(request: Request, edge: EdgeDep) -> Response:
    """Create or replace up to 10,000 items in one transaction; bad entries are named, good ones stored."""
    return await post_batch(request, edge, ITEMS, ItemBatch)


@router.put(
    "/{item_id}",
    response_model=Item,
    responses=problems(400, 413),
    dependencies=writes,
    openapi_extra=body_of(ItemFields, _EXAMPLE),
)
async def put_item(item_id: ItemId, request: Request, edge: EdgeDep) -> Response:
    """Create an item, or replace all that is known of it."""
    fields = parse_body(ItemFields, await read_body(request))
    return answer(await edge.write(items.put_item, item_id, fields))


@router.patch(
    "/{item_id}",
    response_model=Item,
    responses=problems(400, 404, 413),
    dependencies=writes,
    openapi_extra=body_of(ItemPatch, {"price": 7.9, "availability": "out_of_stock"}),
)
async def patch_item(item_id: ItemId, request: Request, edge: EdgeDep) -> Response:
    """Change an item: fields that are given replace the old ones, null clears; attributes are merged."""
    patch = parse_body(ItemPatch, await read_body(request))
    return answer(await edge.write(items.patch_item, item_id, patch))


@router.get("/{item_id}", response_model=Item, responses=problems(404), dependencies=reads)
async def get_item(item_id: ItemId, edge: EdgeDep) -> Response:
    """One item."""
    return answer(await edge.read(items.get_item, item_id))


@router.delete("/{item_id}", status_code=204, responses=problems(404), dependencies=writes)
async def delete_item(item_id: ItemId, edge: EdgeDep) -> Response:
    """Take an item out of the catalogue: it is not recommended any more; its past events stay as evidence."""
    await edge.write(items.delete_item, item_id)
    return Response(status_code=204)
