"""What distinguishes a suburb from a town and from farmland: sizes in metres and shares."""

from dataclasses import dataclass, field

Range = tuple[float, float]


@dataclass(frozen=True)
class Style:
    """Numbers from which a scene of one kind is drawn.

    Attributes:
        depth: depth of a parcel, m.
        length: length of a block between two cross streets, m.
        road: width of a carriageway, m.
        bend: how far streets swing from the straight line, m.
        walks: whether streets have kerbs and side walks.
        parcels: share of each kind of parcel along the streets.
        whole: share of blocks that are one large parcel from street to street.
        estates: share of each kind among those.
        roofs: share of each kind of roof among houses.
        side: free strip on either side of a house, m.
        trees: trees per 100 m² of garden.
        street_trees: share of the places along a street that have a tree.
    """

    depth: Range
    length: Range
    road: Range
    bend: Range
    walks: bool
    parcels: dict[str, float]
    whole: float
    estates: dict[str, float]
    roofs: dict[str, float]
    side: Range
    trees: float
    street_trees: float
    widths: dict[str, Range] = field(default_factory=dict)

    def width(self, kind: str) -> Range:
        """Width of a parcel of this kind along the street, m."""
        return self.widths.get(kind) or WIDTHS[kind]


WIDTHS: dict[str, Range] = {
    "house": (16, 23),
    "block": (20, 36),
    "shop": (45, 80),
    "park": (40, 80),
    "vacant": (18, 40),
    "farm": (55, 85),
    "field": (60, 150),
    "wood": (60, 140),
}

STYLES: dict[str, Style] = {
    "suburb": Style(
        depth=(29, 36),
        length=(90, 190),
        road=(8, 11),
        bend=(6, 16),
        walks=True,
        parcels={"house": 0.93, "vacant": 0.03, "park": 0.02, "block": 0.02},
        whole=0.12,
        estates={"shop": 0.55, "park": 0.45},
        roofs={"gable": 0.45, "hip": 0.43, "flat": 0.11, "round": 0.01},
        side=(1.2, 2.4),
        trees=0.75,
        street_trees=0.5,
    ),
    "town": Style(
        depth=(22, 28),
        length=(70, 130),
        road=(9, 14),
        bend=(0, 5),
        walks=True,
        parcels={"house": 0.45, "block": 0.45, "vacant": 0.06, "park": 0.04},
        whole=0.25,
        estates={"shop": 0.75, "park": 0.25},
        roofs={"gable": 0.3, "hip": 0.2, "flat": 0.49, "round": 0.01},
        side=(0.5, 1.3),
        trees=0.4,
        street_trees=0.5,
        widths={"house": (10, 16)},
    ),
    "rural": Style(
        depth=(55, 80),
        length=(170, 360),
        road=(5, 7),
        bend=(10, 30),
        walks=False,
        parcels={"farm": 0.6, "field": 0.32, "wood": 0.08},
        whole=0.18,
        estates={"field": 0.8, "wood": 0.2},
        roofs={"gable": 0.7, "hip": 0.25, "flat": 0.05},
        side=(3, 8),
        trees=0.25,
        street_trees=0.2,
    ),
}
