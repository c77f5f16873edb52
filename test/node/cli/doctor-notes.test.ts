import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Io } from "#src/cli/io.ts";
import { aCliHome, type CliHome } from "#harness/machine/cli-home.ts";

interface Line {
  readonly name: string;
  readonly state: string;
  readonly text: string;
}

async function doctor(home: CliHome, io: Partial<Io> = {}): Promise<Map<string, Line>> {
  const ran = await home.shimWith(io, "doctor --json");
  const { checks } = ran.json() as { checks: Line[] };
  return new Map(checks.map((line) => [line.name, line]));
}

it("a channel of notify that cannot work here is a line of doctor, and config set says so at once", async () => {
  const home = aCliHome();
  const set = await home.shim("config set notify.desktop true");
  expect(set).toMatchObject({ code: 0, out: "notify.desktop is true\n" });
  expect(set.err).toContain("notify-send was not found: nothing is shown");
  const lines = await doctor(home);
  expect(lines.get("notify_desktop")?.state).toBe("warn");
  const bin = join(home.paths.home, "bin");
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, "notify-send"), "", { mode: 0o755 });
  const withDesktop = await doctor(home, { env: { ...home.runtime.env, PATH: bin } });
  expect(withDesktop.get("notify_desktop")?.state).toBe("ok");
});

it("doctor says that conflicts are not foreseen where git is older than 2.38", async () => {
  const home = aCliHome();
  const at = async (version: string): Promise<Line | undefined> =>
    (await doctor(home, { versionOf: () => version })).get("git");
  expect(await at("git version 2.37.9")).toMatchObject({
    state: "warn",
    text: "git version 2.37.9: conflicts between chats are not foreseen",
  });
  expect(await at("git version 2.38.0")).toMatchObject({ state: "ok" });
});
