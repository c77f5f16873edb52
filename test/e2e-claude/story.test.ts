import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { lastFiles } from "../../demo/story/project.ts";
import { checksOf } from "../../demo/story/report.ts";
import { Story, type HostName } from "../../demo/story/story.ts";
import { midway } from "../../demo/story/team-chat.ts";
import { descendantsOf } from "../../scripts/local-edge.ts";
import { identify, isAlive, systemProcesses } from "#src/platform/processes.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";

const main = join(import.meta.dirname, "..", "..", "demo", "main.ts");
/** A sixteenth of the times that a model takes. */
const waits = { seed: 1, scale: 1 / 16 };
const timeoutMs = 300_000;

it.for<HostName>(["local", "edge"])(
  "three chats of Claude Code do six tasks once, one is killed, and a fourth submits and summarises (%s) @night",
  { timeout: timeoutMs },
  async (host) => {
    const story = new Story({ host, waits, kill: midway, signal: AbortSignal.timeout(timeoutMs) });
    let isClosed = false;
    onTestFinished(async () => void (isClosed || (await story.close())));
    const run = await story.team();
    expect(checksOf(story, run).filter(({ holds }) => !holds)).toEqual([]);
    expect(run.problems).toEqual([]);

    const { records, kill, summary } = run;
    expect(records.map(({ type, state }) => [type, state])).toEqual(
      ["backend", "frontend", "tests", "backend", "frontend", "tests", "summary"].map((type) => [type, "done"]),
    );
    const ends = records.map(({ spans }) => spans.map(({ end }) => end));
    expect(ends).toEqual([["done"], ["done"], ["done"], ["done"], ["chat_offline", "done"], ["done"], ["done"]]);
    const chats = records.map(({ spans }) => spans.at(-1)?.chat);
    expect([chats[3], chats[4], chats[5]]).toEqual([chats[0], chats[1], chats[2]]);
    expect(new Set(chats).size).toBe(4);
    expect(chats[4]).toBe(kill.session);

    // Two of the first tasks change one file: the second chat is refused, and gets it later.
    const waited = run.events.filter(({ what }) => what.endsWith("has reserved contract.ts"));
    expect(waited.length).toBeGreaterThan(0);
    const afterDeath = run.events.filter(({ chat, ms }) => chat === kill.chat && ms >= kill.ms).map(({ what }) => what);
    expect(afterDeath.slice(1, 3)).toEqual([
      "is back in its session",
      expect.stringMatching(/^takes task 5, receipts, and continues after [34] of 10 edits$/),
    ]);
    for (const [name, text] of Object.entries(lastFiles())) expect(story.lead.read(name), name).toBe(text);
    expect(summary).toMatch(/^The job is done, in 6 tasks:(\n- task \d, by \w+: .+ \([0-9a-f]{8}\)){6}$/);

    expect(await story.close()).toEqual({ codes: story.machines.map(() => 0), left: [] });
    isClosed = true;
    expect(existsSync(story.root)).toBe(false);
  },
);

it("Ctrl-C in the middle of it: all processes end, and no file stays @night", async () => {
  const stage = temporaryFolder();
  const env = { ...process.env, TMPDIR: stage };
  // A terminal sends Ctrl-C to the whole group.
  const options = { env, stdio: ["ignore", "ignore", "pipe"] as ["ignore", "ignore", "pipe"], detached: true };
  const child = spawn(process.execPath, [main, "--only", "story"], options);
  onTestFinished(() => void child.kill("SIGKILL"));
  const ended = new Promise<number | null>((resolve) => void child.once("close", resolve));
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  await vi.waitUntil(() => said.includes("takes task 2"), { timeout: 120_000, interval: 20 });
  const started = descendantsOf(child.pid ?? 0).map((pid) => identify(systemProcesses, pid));
  expect(started.length).toBeGreaterThan(8);
  process.kill(-(child.pid ?? 0), "SIGINT");
  expect(await ended).toBe(1);
  expect(said).toMatch(/interrupted; all that was started has been ended and removed\.\n$/);
  expect(started.filter((one) => one !== null && isAlive(systemProcesses, one))).toEqual([]);
  expect(readdirSync(stage).filter((name) => /^(shim|miniflare)-/.test(name))).toEqual([]);
});

it("where Claude Code is not installed the demo names the command that installs it @night", () => {
  const env = { ...process.env, SHIM_TEST_CLAUDE: "/nonexistent/claude" };
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [main, "--only", "story", ...args], { env, encoding: "utf8" });
  const { status, stdout, stderr } = run();
  expect([status, stderr]).toEqual([0, ""]);
  expect(stdout).toContain('"node scripts/install-claude.ts" installs it');
  expect(JSON.parse(run("--json").stdout)).toMatchObject({ isComplete: true, story: { skipped: expect.any(String) } });
});
