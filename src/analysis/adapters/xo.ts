import type { Adapter } from "../adapter.ts";
import { detectTool, firstFile } from "./detection.ts";
import { parseEslint } from "./eslint.ts";

const configs = ["xo.config.js", "xo.config.mjs", "xo.config.cjs", "xo.config.ts", ".xo-config.js", ".xo-config.json"];

/** ESLint with a configuration of its own, which prints the same reports. */
export const xo: Adapter = {
  name: "xo",
  kinds: ["lint"],
  detect: (project) => {
    const isNamed = project.read("package.json")?.includes('"xo"') === true;
    const config = firstFile(project, configs) ?? (isNamed ? "package.json" : null);
    if (config === null) return { kind: "unused", why: "there is no configuration of XO" };
    const risk = "its configuration and plugins are code of the project";
    return detectTool(project, { packageName: "xo", program: "xo", setUp: `${config} names it`, risk });
  },
  command: () => ({ args: ["--reporter", "json"] }),
  parse: parseEslint,
};
