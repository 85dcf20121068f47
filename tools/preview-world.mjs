// Prints the countries of world-atlas as SVG paths by ISO 3166-1 alpha-2 code,
// in the Natural Earth projection, on a canvas of 960 by 440 whole units. Run by
// preview-web.sh, in a folder with the packages that it installs.
import { createRequire } from "node:module";
import { geoNaturalEarth1, geoPath } from "d3-geo";
import { feature } from "topojson-client";

const require = createRequire(import.meta.url);
const world = require("world-atlas/countries-110m.json");
const codes = require("i18n-iso-countries/codes.json");
const alpha2 = new Map(codes.map(([two, , digits]) => [digits, two]));
const antarctica = "010";

const shapes = feature(world, world.objects.countries).features.filter((f) => f.id !== antarctica);
const projection = geoNaturalEarth1().fitSize([960, 440], { type: "FeatureCollection", features: shapes });
const path = geoPath(projection).digits(0);
const countries = shapes.map((f) => ({ code: alpha2.get(f.id) ?? "", name: f.properties.name, path: path(f) }));
countries.sort((a, b) => (a.name < b.name ? -1 : 1));
console.log(JSON.stringify({ width: 960, height: 440, countries }));
