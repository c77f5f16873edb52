import type { Adapter } from "../adapter.ts";
import { biome } from "./biome.ts";
import { complexity } from "./complexity.ts";
import { eslint } from "./eslint.ts";
import { fallow } from "./fallow.ts";
import { jscpd } from "./jscpd.ts";
import { knip } from "./knip.ts";
import { oxlint } from "./oxlint.ts";
import { tsc } from "./tsc.ts";
import { xo } from "./xo.ts";

/** The tool that comes first names a finding that several report. */
export const adapters: readonly Adapter[] = [tsc, eslint, xo, oxlint, biome, complexity, knip, fallow, jscpd];
