"""The vocabulary of the simulated shop: category tree, word lists, customers' attributes. Invented, ours."""

from typing import Final, NamedTuple


class Leaf(NamedTuple):
    """A leaf of the category tree and how its products read, cost and sell."""

    path: str
    nouns: tuple[str, ...]
    materials: tuple[str, ...]
    price: float
    """Median price, in whole currency units."""
    peak: int
    """Day of the year on which it sells best; 0: no season."""
    refill: int
    """Days until a customer needs it again; 0: durable."""
    chinese: str
    """The plain noun for Chinese titles."""


# path; price; peak; refill; Chinese noun; nouns; materials
_TABLE = """
Kitchen > Cookware; 59; 0; 0; 炒锅; Saucepan, Skillet, Casserole, Wok, Grill Pan; Copper, Cast-Iron, Steel
Kitchen > Tableware; 24; 0; 0; 餐盘; Plate Set, Bowl, Mug, Carafe, Serving Dish; Stoneware, Porcelain, Glass
Kitchen > Knives; 68; 0; 0; 厨刀; Chef's Knife, Paring Knife, Bread Knife, Cleaver; Steel, Walnut, Damascus
Food > Coffee; 13; 0; 24; 咖啡豆; Espresso Beans, Filter Coffee, Coffee Capsules; Highland, Dark-Roast, Decaf
Food > Tea; 11; 15; 35; 绿茶; Green Tea, Herbal Infusion, Breakfast Tea; Loose-Leaf, Organic, Mountain
Food > Sweets; 8; 350; 28; 巧克力; Chocolate Bar, Biscuit Tin, Nougat, Fudge; Almond, Hazelnut, Salted, Dark
Home > Lighting; 74; 345; 0; 台灯; Table Lamp, Pendant, Floor Lamp, Lantern; Brass, Linen, Glass, Paper
Home > Bedding; 64; 330; 0; 棉被; Duvet, Pillow, Blanket, Sheet Set, Quilt; Cotton, Linen, Wool, Bamboo
Home > Storage; 38; 0; 0; 收纳盒; Basket, Shelf, Box Set, Coat Rack, Drawer Unit; Rattan, Oak, Steel, Felt
Home > Candles; 17; 350; 45; 香薰蜡烛; Scented Candle, Tealights, Candle Set; Soy, Beeswax, Cedar, Fig
Garden > Planting; 29; 120; 0; 花盆; Planter, Seed Kit, Raised Bed, Hanging Pot; Terracotta, Zinc, Larch, Clay
Garden > Tools; 33; 110; 0; 园艺剪; Trowel, Pruner, Watering Can, Rake, Spade; Steel, Ash, Copper, Forged
Garden > Furniture; 139; 150; 0; 躺椅; Deck Chair, Bench, Side Table, Parasol; Teak, Acacia, Canvas, Aluminium
Outdoor > Camping; 118; 180; 0; 帐篷; Tent, Sleeping Bag, Camp Stove, Sleeping Mat; Ripstop, Down, Nylon
Outdoor > Hiking; 72; 160; 0; 登山包; Backpack, Trekking Poles, Flask, Rain Cover; Ripstop, Steel, Canvas
Outdoor > Cycling; 43; 140; 0; 自行车灯; Bike Light, Pannier, Bike Pump, Helmet, Bell; Alloy, Carbon, Brass
Sport > Running; 79; 105; 0; 跑鞋; Running Shoes, Running Vest, Shorts, Headband; Mesh, Knit, Recycled, Merino
Sport > Yoga; 36; 10; 0; 瑜伽垫; Yoga Mat, Yoga Block, Bolster, Strap; Cork, Rubber, Cotton, Jute
Sport > Winter; 66; 15; 0; 滑雪手套; Ski Goggles, Snow Gloves, Base Layer, Sledge; Merino, Fleece, Softshell
Fashion > Knitwear; 84; 330; 0; 羊毛衫; Cardigan, Jumper, Scarf, Beanie; Merino, Cashmere, Alpaca, Cotton
Fashion > Shirts; 52; 0; 0; 衬衫; Shirt, Blouse, Tunic, Polo; Linen, Cotton, Silk, Chambray
Fashion > Bags; 95; 0; 0; 手提包; Tote, Satchel, Clutch, Weekend Bag; Leather, Canvas, Suede, Waxed
Fashion > Swimwear; 39; 185; 0; 泳衣; Swimsuit, Swim Shorts, Beach Towel; Recycled, Ribbed, Terry
Beauty > Skin; 22; 0; 40; 面霜; Face Cream, Serum, Hand Balm, Cleanser; Oat, Rosehip, Shea, Aloe
Beauty > Hair; 16; 0; 38; 洗发水; Shampoo, Conditioner, Hair Oil, Hair Mask; Argan, Nettle, Coconut, Rosemary
Toys > Building; 34; 345; 0; 积木; Block Set, Marble Run, Train Set, Puzzle; Beech, Maple, Cardboard, Magnetic
Toys > Soft Toys; 23; 345; 0; 毛绒熊; Bear, Rabbit, Fox, Rattle, Whale; Plush, Cotton, Corduroy, Knitted
Stationery > Paper; 14; 250; 0; 笔记本; Notebook, Sketchbook, Planner, Card Set; Recycled, Linen-Bound, Kraft
Stationery > Pens; 26; 250; 0; 钢笔; Fountain Pen, Brush Pen Set, Pencil Set, Ink; Brass, Resin, Cedar, Walnut
Pets > Dogs; 31; 0; 0; 狗窝; Dog Bed, Lead, Collar, Chew Toy; Hemp, Leather, Wool, Rope
Pets > Food; 19; 0; 21; 猫粮; Dog Food, Cat Food, Cat Treats, Dog Biscuits; Salmon, Chicken, Lamb, Grain-Free
Audio > Headphones; 128; 340; 0; 耳机; Headphones, Earbuds, Headset; Walnut, Graphite, Aluminium
"""


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(","))


def _leaf(line: str) -> Leaf:
    path, price, peak, refill, chinese, nouns, materials = line.split("; ")
    return Leaf(path, _words(nouns), _words(materials), float(price), int(peak), int(refill), chinese)


LEAVES: Final = tuple(_leaf(line) for line in _TABLE.strip().splitlines())

STYLES: Final = _words(
    "Rustic, Classic, Minimal, Nordic, Vintage, Modern, Compact, Rugged, Playful, Elegant, Everyday, Premium,"
    "Handmade, Lightweight, Cosy, Bold, Pure, Slim, Heritage, Urban, Coastal, Bright, Quiet, Artisan"
)
COLOURS: Final = _words(
    "Slate, Ivory, Moss, Terracotta, Navy, Sand, Charcoal, Ochre, Plum, Sage, Rust, Chalk"
)
BRAND_STARTS: Final = _words("Vel, Bram, Oster, Lun, Karr, Mir, Thal, Fen, Quill, Dor")
BRAND_ENDS: Final = _words("mora, wick, holt, ettica, una, gard")
BENEFITS: Final = (
    "Made to last and easy to care for",
    "Designed for daily use",
    "Made in small batches by a family workshop",
    "A favourite gift for any season",
    "Shipped in plastic-free packaging",
    "Tested for years by our own team",
)
EDIBLE_BENEFITS: Final = (
    "Keeps for a year in a cool, dry place",
    "Enough for every day of the month",
    "Made in small batches by a family workshop",
    "A favourite gift for any season",
    "Shipped in plastic-free packaging",
    "Tested for years by our own team",
)
"""The same for what is used up."""

CHINESE_STYLES: Final = _words("经典, 简约, 复古, 现代, 轻便, 手工, 优质, 温馨")
CHINESE_COLOURS: Final = _words(
    "石板灰, 象牙白, 苔绿, 陶土色, 藏青, 沙色, 炭黑, 赭黄, 梅紫, 鼠尾草绿, 锈红, 粉白"
)
CHINESE_BENEFITS: Final = (
    "品质可靠，使用方便",
    "适合每天使用",
    "由家庭作坊小批量制作",
    "四季皆宜的好礼物",
    "采用无塑料包装",
    "经我们团队多年测试",
)

COUNTRIES: Final = _words("DE, DE, DE, FR, FR, NL, AT, IT, ES, CN")
"""Repeated names are the more frequent ones."""
AGE_GROUPS: Final = _words("18-24, 25-34, 35-44, 45-54, 55-64, 65+")
CHANNELS: Final = _words("search, search, social, email, direct, friend")
