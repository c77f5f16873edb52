import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createPrivateFolder } from "#src/platform/private-files.ts";
import type { Config } from "#src/contract/config.ts";
import type { ServiceRequest } from "#src/machine/learning/assignment-service.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

export interface ServiceRuntime extends TempRuntime {
  /** Requests that the process of the service was given, oldest first. */
  readonly requests: () => ServiceRequest[];
  /** Another program as the process of the service: `request` is what it was given, `answer(value)` answers. */
  readonly serve: (program: string) => void;
}

/** No speed of the machine decides, unless the test sets the limit. */
function patient(config: Config, set: Record<string, unknown>): Config {
  return { ...config, experiments: { ...config.experiments, waitMs: 60_000, ...set } };
}

/** A machine with this setting of `experiments`, whose process of the service is a program of the test. */
export function aServiceRuntime(experiments: Record<string, unknown>, beside?: TempRuntime): ServiceRuntime {
  const config = { experiments };
  const runtime = tempRuntime({ config, ...(beside ? { beside } : {}) });
  createPrivateFolder(runtime.paths.home);
  writeFileSync(runtime.paths.config, JSON.stringify(config));
  const dist = join(temporaryFolder(), "dist");
  mkdirSync(dist);
  const log = join(dist, "requests");
  const serve = (program: string): void =>
    writeFileSync(
      join(dist, "hook-service.cjs"),
      `const fs = require("node:fs");
       const text = fs.readFileSync(0, "utf8");
       fs.appendFileSync(${JSON.stringify(log)}, text + "\\n");
       const request = JSON.parse(text);
       const answer = (value) => fs.writeSync(3, JSON.stringify(value));
       ${program}`,
    );
  serve("answer({ arms: [], problems: [] });");
  const lines = (): string[] => (existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : []);
  return {
    ...runtime,
    config: patient(runtime.config, experiments),
    launch: { node: process.execPath, script: join(dirname(dist), "bin/shim.mjs"), hookScript: join(dist, "hook.cjs") },
    requests: () => lines().map((line) => JSON.parse(line) as ServiceRequest),
    serve,
  };
}
