// What every page does beside being read. Each module is one idea, and a page without scripts still works.
import { copying } from "./copying.js";
import { asking } from "./asking.js";
import { counting } from "./counting.js";
import { live } from "./live.js";
import { once } from "./once.js";
import { searching } from "./searching.js";
import { tail } from "./tail.js";
import { ticking } from "./ticking.js";

asking(document);
copying(document);
counting(document);
once(document);
searching(document);
tail(document);
ticking(document);
live(document.body.dataset.live);
