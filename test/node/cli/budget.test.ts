import { expect, it } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import { defaultSettings } from "#src/contract/workspaces.ts";
import { writeEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { aCliHome, failed, holding, type CliHome } from "#harness/machine/cli-home.ts";
import { submit, Worker } from "#harness/worker/cli-worker.ts";
import { RealServer } from "#harness/edge/real-server.ts";

type Shown = OutputOf<"budgets.get">;

async function shown(home: CliHome): Promise<Shown> {
  return (await home.json("budget")) as Shown;
}

it("[CL61] limits are set one by one, those that are not named stay, and none takes one away", async () => {
  const home = aCliHome();
  expect((await shown(home)).limits).toEqual({ task: {}, chat: {}, day: {} });
  const first = await home.shim("budget set --day-usd 20 --task-tokens 500000 --chat-minutes 2.5");
  expect([first.code, first.out]).toEqual([0, expect.stringMatching(/^cost +\$0\.00 +\$20\.00 +none +none$/m)]);
  const second = await home.shim("budget set --day-usd none --task-usd 0.0132 --json");
  const limits = { task: { tokens: 500_000, costMicros: 13_200 }, chat: { wallMs: 150_000 }, day: {} };
  expect((second.json() as Shown).limits).toEqual(limits);
  expect((await shown(home)).limits).toEqual(limits);
  expect((await home.shim("budget")).out).toEqual(
    holding(
      /^cost +\$0\.00 +none +none +\$0\.0132$/m,
      /^tokens +0 +none +none +500,000$/m,
      /^time +0 s +none +2 min +none$/m,
      /^The day \(UTC\) ends in \d+ (h|min)\.$/m,
    ),
  );
});

it("[CL61] shows what was used, by whom, and which limit is reached", async () => {
  const home = aCliHome();
  await home.shim("budget set --day-usd 1 --chat-tokens 900");
  await submit(home, "build");
  new Worker(home).take().used({ tokens: 1_000, costMicros: 1_250_000, wallMs: 150_000 });
  const found = await shown(home);
  expect(found).toMatchObject({
    today: { tokens: 1_000, costMicros: 1_250_000, wallMs: 150_000 },
    isDaySpent: true,
    chats: [{ chat: "w", machine: "m1", used: { tokens: 1_000 }, isSpent: true }],
  });
  const { out } = await home.shim("budget");
  expect(out).toMatch(/^cost +\$1\.25 +\$1\.00 /m);
  expect(out).toContain(
    "The limit of the day is reached: nothing new starts before the day ends or the limit is raised.",
  );
  expect(out).toMatch(/^w +m1 +\$1\.25 +1,000 +2 min +limit reached$/m);
});

it("[CL62] what is no limit is wrong usage, and changes nothing", async () => {
  const home = aCliHome();
  await home.misuses("budget set", [
    ["", "name a limit"],
    ["--day-usd 0", "above 0"],
    ["--day-usd -1", "above 0"],
    ["--day-usd 0.0000001", "above 0"],
    ["--day-tokens 1e3", "above 0"],
    ["--day-tokens lots", "above 0"],
    ["--chat-tokens 9007199254740993", "above 0"],
    ["--week-usd 1", "unknown option"],
  ]);
  expect((await shown(home)).limits).toEqual({ task: {}, chat: {}, day: {} });
});

it("[CL62] on the edge limits are set with the admin token, and a machine without it is told so", async () => {
  const home = aCliHome();
  const server = await RealServer.listen();
  const budgets = { task: {}, chat: {}, day: { tokens: 5 } };
  const found = {
    limits: budgets,
    today: { wallMs: 0, tokens: 0, costMicros: 0 },
    dayEndsInMs: 1_000,
    isDaySpent: false,
  };
  const error = {
    code: "forbidden",
    message: "settings.set needs a token of scope admin; this one has work",
    retryable: false,
  };
  server.answer = ({ headers, url }, response) => {
    const isAdmin = headers.authorization === "Bearer shim_admin.b";
    if (url.includes("/budgets")) response.end(JSON.stringify({ ...found, chats: [] }));
    else if (isAdmin) response.end(JSON.stringify({ settings: { ...defaultSettings, budgets } }));
    else response.writeHead(403).end(JSON.stringify({ error }));
  };
  const edge = { url: server.url, workspace: "team", machine: "m1", token: "shim_a.b" };
  writeEdgeConfig(home.paths.home, edge);
  expect(await home.shim("budget set --day-usd 2")).toMatchObject(failed(1, "this machine has none"));
  writeEdgeConfig(home.paths.home, { ...edge, adminToken: "shim_admin.b" });
  expect((await home.shim("budget set --day-usd 2")).code).toBe(0);
  const sent = server.seen.findLast(({ body }) => body !== "");
  expect(JSON.parse(sent?.body ?? "")).toEqual({
    settings: { budgets: { day: { costMicros: 2_000_000 } } },
  });
});
