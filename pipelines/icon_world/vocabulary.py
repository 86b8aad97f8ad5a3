"""The vocabulary of the icon world: everyday names of icons, colours, sizes, and the held-out pairs.

No name contains the words of another ("wine glass" but no "glass"), no two names look alike, and every name takes a
singular article, so that a caption or a referring expression has only one meaning.
"""

from functools import lru_cache

import numpy as np

# everyday name = icon in Font Awesome's metadata, where that differs from the name
_TABLE = """
    airplane = plane; anchor; apple = apple-whole; astronaut = user-astronaut; basket = basket-shopping;
    basketball; bathtub = bath; bed; beer mug = beer-mug-empty; beetle = bug; bell; bicycle; bomb; bone;
    book; bowl = bowl-food; box = box-open; briefcase; broom; bucket;
    burger; bus; cake = cake-candles; calendar = calendar-days; camcorder = video; camera; candy cane =
    candy-cane; car = car-side; carrot; castle = chess-rook; cat; chair; chicken leg = drumstick-bite;
    chili pepper = pepper-hot; church; clock; cloud; cocktail = martini-glass-citrus; coffee cup =
    mug-hot; computer mouse = computer-mouse; cookie; cow; cowboy hat = hat-cowboy; crow; crown; cube;
    dice = dice-five; dog; door = door-closed; dove; dragon; drum; dumbbell; egg; envelope; eye; factory
    = industry; fan; faucet; feather; fire extinguisher = fire-extinguisher; fish; flag; flame = fire;
    flask; football; frog; gas pump = gas-pump; gear; gem; ghost; gift; globe = earth-americas;
    graduation cap = graduation-cap; guitar; hammer; hand; heart; helicopter; helmet = helmet-safety;
    hippo; horse; hospital; hourglass; house; ice cream = ice-cream; igloo; key; keyboard; kiwi bird =
    kiwi-bird; laptop; leaf; lemon; lifebuoy = life-ring; light bulb = lightbulb; lightning bolt = bolt;
    magnet; magnifying glass = magnifying-glass; map; medal; megaphone = bullhorn; microphone;
    microscope; mitten; money bag = sack-dollar; moon; mosque; mosquito; motorcycle; mountain =
    mountain-sun; music note = music; ninja = user-ninja; otter; padlock = lock; paintbrush; palette;
    paper plane = paper-plane; paperclip; parachute = parachute-box; paw; pencil; piggy bank =
    piggy-bank; ping pong paddle = table-tennis-paddle-ball; pizza = pizza-slice; plug; price tag = tag;
    printer = print; pushpin = thumbtack; puzzle piece = puzzle-piece; radio; rainbow; ring; robot;
    rocket; ruler; sailboat; scale = scale-balanced; screwdriver; shield = shield-halved; ship; shirt;
    shopping bag = bag-shopping; shopping cart = cart-shopping; shrimp; skier = person-skiing; skull;
    sleigh; smartphone = mobile-screen; snowflake; snowman; soccer ball = futbol; sofa = couch; space
    shuttle = shuttle-space; speech bubble = comment; spider; spoon; staircase = stairs; star;
    stethoscope; stroller = baby-carriage; suitcase; sun; swimmer = person-swimming; syringe; target =
    bullseye; telephone = phone; television = tv; tent; toilet; tooth; tractor; traffic light =
    traffic-light; train; trash can = trash-can; tree; trophy; truck; umbrella; van = van-shuttle;
    volcano; volleyball; water drop = droplet; wheelchair; wine bottle = wine-bottle; wine glass =
    wine-glass; wizard hat = hat-wizard; worm; wrench
"""

ICONS: dict[str, str] = {}
for _entry in " ".join(_TABLE.split()).split("; "):
    _name, _, _icon = _entry.partition(" = ")
    ICONS[_name] = _icon or _name
NAMES: tuple[str, ...] = tuple(ICONS)

# RGB, 0..255
COLORS: dict[str, tuple[int, int, int]] = {
    "red": (214, 28, 40),
    "orange": (250, 128, 10),
    "yellow": (252, 214, 0),
    "green": (28, 150, 62),
    "blue": (10, 105, 235),
    "purple": (128, 30, 150),
    "pink": (255, 125, 195),
    "black": (22, 22, 26),
}

# RGB; pale, so that each icon colour stands out on each of them
BACKGROUND_COLORS: dict[str, tuple[int, int, int]] = {
    "white": (250, 250, 250),
    "grey": (205, 208, 212),
    "stone": (186, 190, 196),
    "sand": (232, 220, 200),
    "sky": (205, 224, 245),
    "mint": (208, 236, 218),
    "lavender": (224, 214, 240),
    "rose": (246, 220, 222),
}

# the longer side of the glyph as a share of the image's side: least, most
SIZES: dict[str, tuple[float, float]] = {
    "small": (0.18, 0.22),
    "medium": (0.28, 0.32),
    "large": (0.40, 0.45),
}

BACKGROUNDS = ("plain", "gradient", "noise")
SPLITS = ("train", "test", "unseen")


@lru_cache(maxsize=1)
def held_out_color() -> dict[str, str]:
    """For each name the one colour that only the unseen split shows; each colour is held out equally often.

    It is the same for every seed and size of world, so that models of different worlds can be compared.
    """
    colors = tuple(COLORS)
    return {name: colors[place % len(colors)] for place, name in enumerate(_shuffled_names())}


def first_names(count: int) -> tuple[str, ...]:
    """The names of a world with only `count` of them; a world with more names has these too."""
    chosen = set(_shuffled_names()[:count])
    return tuple(name for name in NAMES if name in chosen)


@lru_cache(maxsize=1)
def _shuffled_names() -> tuple[str, ...]:
    return tuple(NAMES[place] for place in np.random.default_rng(0).permutation(len(NAMES)))


def colors_of(name: str, split: str) -> tuple[str, ...]:
    """The colours in which a split may show a name."""
    held_out = held_out_color()[name]
    return (held_out,) if split == "unseen" else tuple(color for color in COLORS if color != held_out)


def article(words: str) -> str:
    """The article of `words`: "a" or "an"."""
    return "an" if words[0] in "aeio" or words.startswith(("hour", "umbrella")) else "a"
