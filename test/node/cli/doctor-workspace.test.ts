import { expect, it } from "vitest";
import { clock } from "#src/local-mcp/doctor/workspace-checks.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { aCliHome, printed, type CliHome } from "#harness/machine/cli-home.ts";

async function checksOf(home: CliHome): Promise<Record<string, string>> {
  const { checks } = (await home.json("doctor", "--workspace")) as {
    checks: { name: string; state: string; text: string }[];
  };
  return Object.fromEntries(checks.map(({ name, state, text }) => [name, `${state}: ${text}`]));
}

it("[CL189] doctor --workspace says size, rows, alarm, oldest task, sync, clock and versions, each with its figure", async () => {
  const runtime = await EdgeRuntime.open();
  const home = aCliHome();
  const { token } = await runtime.call("tokens.create", { machine: "m1", scope: "work" });
  home.join(runtime.url, { workspace: runtime.workspace, token });
  home.now = Date.now();
  for (const [chat, version] of Object.entries({ a: "0.1.0", b: "0.0.9" }))
    await runtime.call("chats.register", {
      chat,
      session: chat,
      process: `p-${chat}`,
      machine: `m-${chat}`,
      client: "test",
      metadata: { version },
    });
  const checks = await checksOf(home);
  expect(checks["workspace:coordinator"]).toMatch(/^ok: http:.* answers in \d+ ms/);
  expect(checks["workspace:clock"]).toMatch(/^ok: this machine's clock is between -?\d+\.\d and -?\d+\.\d s ahead/);
  expect(checks["workspace:storage"]).toMatch(/^ok: 0\.\d MB of 10,000 MB \(an object of Cloudflare holds 10,000 MB\)/);
  expect(checks["workspace:rows"]).toMatch(
    /^ok: [1-9]\d* rows written this month .* 0\.00 dollars beyond the plan's 5/,
  );
  expect(checks["workspace:alarm"]).toMatch(/^ok: on time, 0 rows due/);
  expect(checks["workspace:tasks"]).toBe("ok: no task waits");
  expect(checks["workspace:sync"]).toBe("ok: this machine has synced nothing yet");
  expect(checks["workspace:versions"]).toBe("warn: of live chats: 0.1.0 on m-a; 0.0.9 on m-b");
  await runtime.call("settings.set", { settings: { maxStorageBytes: 100_000 } });
  expect(await home.shim("doctor --workspace")).toMatchObject({
    code: 1,
    out: expect.stringContaining("growth is refused"),
  });
  await runtime.close();
  expect(await home.shim("doctor --workspace")).toMatchObject({
    code: 1,
    out: expect.stringContaining("did not answer"),
  });
});

it("[CL189] of a machine that has joined no workspace it checks its own coordinator", async () => {
  const home = aCliHome();
  await home.json("task submit", "build");
  home.now += 2 * 3_600_000;
  const checks = await checksOf(home);
  expect(checks).toMatchObject({ "workspace:coordinator": "ok: this machine's own" });
  expect(checks["workspace:tasks"]).toBe("warn: the oldest queued task waits for 2 h");
  expect(await home.shim("doctor --workspace")).toMatchObject(printed("task show"));
});

it("[CL189] a clock that is certainly off is a warning, one that may be right is none", () => {
  expect(clock(-900, 200)).toMatchObject({ state: "ok", text: expect.stringContaining("between -0.9 and 0.2 s") });
  expect(clock(4_000, 6_000)).toMatchObject({ state: "ok" });
  expect(clock(6_000, 8_000)).toMatchObject({ state: "warn" });
  expect(clock(-9_000, -7_000)).toMatchObject({ state: "warn" });
});
