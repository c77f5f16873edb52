import type { Adapter } from "../adapter.ts";
import { fallow, jscpd, knip } from "./dead-code.ts";
import { biome, complexity, eslint, oxlint, xo } from "./linters.ts";
import { tsc } from "./tsc.ts";

/** The tool that comes first names a finding that several report. */
export const adapters: readonly Adapter[] = [tsc, eslint, xo, oxlint, biome, complexity, knip, fallow, jscpd];
