import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createPrivateFolder } from "#src/platform/private-files.ts";
import type { ServiceRequest } from "#src/machine/learning/assignment-service.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

export type ServiceRuntime = ReturnType<typeof aServiceRuntime>;

/** A machine with this setting of `experiments`, whose process of the service is a program of the test. */
export function aServiceRuntime(experiments: Record<string, unknown>) {
  const config = { experiments };
  const runtime = tempRuntime({ config });
  createPrivateFolder(runtime.paths.home);
  writeFileSync(runtime.paths.config, JSON.stringify(config));
  const dist = join(temporaryFolder(), "dist");
  mkdirSync(dist);
  const log = join(dist, "requests");
  /** Another program as the process of the service: `request` is what it was given, `answer(value)` answers. */
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
    // No speed of the machine decides, unless the test sets the limit.
    config: { ...runtime.config, experiments: { ...runtime.config.experiments, waitMs: 60_000, ...experiments } },
    launch: { node: process.execPath, script: join(dirname(dist), "bin/shim.mjs"), hookScript: join(dist, "hook.cjs") },
    requests: () => lines().map((line) => JSON.parse(line) as ServiceRequest),
    serve,
  };
}

const bucketOf = (operator: string, targetValue: number, salt: string) => ({
  type: "user_bucket",
  operator,
  targetValue,
  additionalValues: { salt },
  field: null,
  idType: "userID",
});

/** Statsig's rules for an experiment that nine tenths of the units are in. */
export function statsigRules(name: string, arms: readonly [string, string]): string {
  const common = { salt: "", passPercentage: 100, idType: "userID" };
  const layer = { ...common, name: "layerAssignment", id: "layerAssignment", returnValue: {} };
  const group = (arm: string, below: number) => ({
    ...common,
    name: arm,
    groupName: arm,
    id: `rule-${arm}`,
    isExperimentGroup: true,
    returnValue: { arm },
    conditions: [bucketOf("lt", below, "arms")],
  });
  const rules = [{ ...layer, conditions: [bucketOf("gte", 900, "share")] }, group(arms[0], 500), group(arms[1], 1000)];
  const spec = { name, type: "dynamic_config", salt: "arms", enabled: true, defaultValue: {}, rules };
  const configs = [{ ...spec, entity: "experiment", isActive: true, idType: "userID" }];
  return JSON.stringify({ has_updates: true, time: 1, feature_gates: [], layer_configs: [], dynamic_configs: configs });
}
