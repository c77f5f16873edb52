import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { check, configFolder, ops } from "#harness/ops/prometheus.ts";

it("promtool accepts the configuration and the rules, and each alert fires once and stays quiet once", () => {
  const folder = configFolder();
  for (const args of [
    ["check", "config", "prometheus.yml"],
    ["check", "rules", "alerts.yml"],
    ["test", "rules", "alerts.test.yml"],
  ]) {
    const { code, said } = check("promtool", args, folder);
    expect([args, code, said]).toEqual([args, 0, expect.stringContaining("SUCCESS")]);
  }
});

it("amtool accepts the example, and each severity has a route of its own", () => {
  const file = join("alertmanager", "alertmanager.yml");
  expect(check("amtool", ["check-config", file])).toMatchObject({ code: 0 });
  const routes = ["critical", "warning", "info"].map((severity) =>
    check("amtool", ["config", "routes", "test", `--config.file=${file}`, `severity=${severity}`])
      .said.split("\n")[0]
      ?.trim(),
  );
  expect(routes).toEqual(["urgent", "everyday", "digest"]);
});

it("the images of the containers are pinned, and all of them listen on loopback", () => {
  const { services } = parse(readFileSync(join(ops, "docker-compose.yml"), "utf8")) as {
    services: Record<string, { image: string; command?: string[]; environment?: Record<string, string> }>;
  };
  expect(Object.keys(services)).toEqual(["prometheus", "alertmanager", "grafana"]);
  for (const { image, command = [], environment = {} } of Object.values(services)) {
    expect(image).toMatch(/^[\w/]+:v?\d+\.\d+\.\d+$/);
    expect([...command, ...Object.values(environment)].join(" ")).toMatch(/127\.0\.0\.1/);
  }
});
