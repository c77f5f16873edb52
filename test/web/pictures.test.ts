import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Page, Request } from "playwright-core";
import { afterAll, expect, it } from "vitest";
import { aCliHome, addSession, type CliHome } from "#harness/machine/cli-home.ts";
import { seedExperiments } from "#harness/experiments/histories.ts";
import { aPermission } from "#harness/machine/request-rig.ts";
import { addChat, chatId, markdownAnswer } from "#harness/web/chats.ts";
import { aFleetPage, closeBrowser, go, openHome } from "#harness/web/browser.ts";
import { differenceFromStored, storesPictures } from "#harness/web/pictures.ts";
import { seedTeam, views } from "#harness/web/seeds.ts";
import type { JournalEntry } from "#src/contract/journal.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as recoveries from "#src/machine/sessions/recoveries.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import type { Sql } from "#src/shared/sql.ts";
import { usageCosts } from "#src/store/machine-tables.ts";
import { crashes, signals } from "#src/store/session-tables.ts";
import { teamConflicts } from "#src/store/team-tables.ts";
import { reportEnd } from "#harness/machine/report-end.ts";

afterAll(closeBrowser);

const folder = join(import.meta.dirname, "..", "..", "docs", "guide", "live-page");

const pictures = join(import.meta.dirname, "pictures");

const minute = 60_000;

/** Project, model, state, from, to (minutes before now), fill, dollars, minutes since it was compacted and continued; title: prompts. */
const day = `
shop opus permission 290 0 0.42 2.41 0 0
Payments: retry on timeout | retry the payment when the bank times out | and after the third timeout? | run the payment tests
platform opus died 150 26 0.93 1.87 0 0
Auth: rotate the signing keys | rotate the signing keys without a restart | keep the old key for a day | add the migration
shop sonnet dialog 330 0 0.31 0.64 0 0
Checkout: address form | the address form loses the postcode | cover it with a test
shop opus works 95 0 0.58 1.32 0 0
Invoices: totals in cents | keep all totals in cents
shop codex works 210 0 0.79 1.05 0 0
Import: stream the CSV | stream the CSV import | measure a file of 2 GB | and with quoted line ends
shop sonnet idle 400 55 0.22 0.41 0 0
Mailer: bounce handling | handle bounces of the mailer | write the notes
search opus works 360 0 0.36 3.05 120 0
Search: index in the background | index new documents | the queue must survive a restart | one at a time? | measure it
search opus works 60 0 0.18 0.37 0 0
Ranking: synonyms | read synonyms from a file
platform sonnet works 130 0 0.47 0.92 0 0
Flaky test of the scheduler | find why the scheduler test is flaky | run it 200 times
platform codex works 45 0 0.12 0.2 0 0
Metrics: label cardinality | find the label with too many values
platform opus ended 470 300 0.4 0.55 0 0
Docs: the upgrade guide | write the upgrade guide | add the screenshots
search opus ended 440 345 0.66 0.83 0 338
Parser: keep the last line | the parser drops the last line: fix it and add a test | and with a BOM?`;

const models: Readonly<Record<string, readonly [client: string, model: string]>> = {
  opus: ["claude-code", "claude-opus-5-5"],
  sonnet: ["claude-code", "claude-sonnet-5"],
  codex: ["codex", "gpt-5.5-codex"],
};

type Figures = [from: number, to: number, fill: number, usd: number, compactedAt: number, continuedAt: number];

/** A working day of three projects. @returns the ids of its chats */
function seedDay(home: CliHome): string[] {
  const { now } = home;
  const ids = Array.from(day.matchAll(/\n(.+)\n(.+)/g), ([, facts = "", texts = ""], at) => {
    const [name, kind, is, ...figures] = facts.split(" ") as [string, string, string, ...string[]];
    const [from, to, fill, usd, compactedAt, continuedAt] = figures.map(Number) as Figures;
    const [client = "", model = ""] = models[kind] ?? [];
    const [title = "", ...asks] = texts.split(" | ");
    const id = `${(0x3f1a_c000 + at * 0x0b31_07).toString(16)}-0000-4000-8000-00000000000${at.toString(16)}`;
    const project = `/home/ann/work/${name}`;
    const [begun, end] = [now - from * minute, now - to * minute];
    if (is !== "died" && is !== "ended") home.alive.add(4_000 + at);
    home.now = begun;
    addSession(home, { id, pid: 4_000 + at, client, title, project, entries: [{ kind: "start", source: "startup" }] });
    home.runtime.store.write((sql) => {
      let serial = 0;
      const put = (ago: number, entry: JournalEntry): void =>
        void journal.append(sql, id, Math.round(now - ago * minute), `day${serial++}`, entry);
      addTurns(put, asks, from, to, is === "idle" || is === "ended");
      if (compactedAt > 0) put(compactedAt, { kind: "compacted", summary: "" });
      for (let step = 0; step <= 24; step++) {
        const share = compactedAt === 0 ? step / 24 : step < 16 ? 0.3 + step / 20 : (step - 8) / 24;
        const value = 0.05 + (fill - 0.05) * share;
        const readings = { contextFill: { value, source: "measured" as const, at: 0 } };
        const seenAt = Math.round(begun + ((end - begun) * step) / 24);
        signals.insert(sql, { session: id, at: seenAt, score: 0.1, level: "safe", readings });
      }
      sessions.update(sql, id, { model, readings: { contextFill: { value: fill, source: "measured", at: end } } });
      for (let ago = 0; ago < 5; ago++) {
        const when = now - ago * 86_400_000;
        const costMicros = Math.round(usd * 1e6 * (ago === 0 ? 1 : 1 - ((ago + at) % 5) / 5));
        const spent = { day: new Date(when).toISOString().slice(0, 10), model, task: 0, claim: 0, project, costMicros };
        usageCosts.insert(sql, { session: id, at: when, ...spent });
      }
      const seen = is === "works" ? end - (at % 3) * minute : end;
      const query = "UPDATE sessions SET lastSeenAt = ?, workedAt = ?, savedAt = ? WHERE id = ?";
      sql.run(query, seen, seen, seen - 20_000, id);
      settle(sql, home, { id, is, end, now });
      const taken = { action: "taken", by: "other", score: null } as const;
      if (continuedAt > 0) recoveries.add(sql, { session: id, at: now - continuedAt * minute, ...taken });
    });
    return id;
  });
  home.now = now;
  const [payments = "", , checkout = ""] = ids;
  const one = { session: payments, root: "/home/ann/work/shop", did: "changed", lines: "40-58" } as const;
  const two = { other: checkout, otherRoot: "/home/ann/work/shop-form", otherLines: "51-73" };
  const both = { ...one, ...two, otherDid: "changed", kind: "merge", path: "src/checkout.ts" } as const;
  home.runtime.store.write((sql) => teamConflicts.insert(sql, { ...both, at: now - 70 * minute }));
  return ids;
}

interface Settled {
  readonly id: string;
  readonly is: string;
  readonly end: number;
  readonly now: number;
}

function settle(sql: Sql, home: CliHome, { id, is, end, now }: Settled): void {
  if (is === "ended") reportEnd(sql, home.runtime, id, "prompt_input_exit", end);
  if (is === "permission" || is === "dialog")
    journal.append(sql, id, now - (is === "dialog" ? 14 : 3) * minute, "asks", { kind: "asks", for: is });
  const detail = "Its process vanished; no orderly end was seen.";
  const unsaved = { readings: {}, checkpointAgeMs: 20_000, unsavedEvents: 0, unsavedToolCalls: 0 };
  if (is === "died") crashes.insert(sql, { session: id, at: end, cause: "killed", detail, ...unsaved });
}

const answers = [
  "Done: the test covers the second attempt.",
  "It was the order of two awaits; both cases are tested now.",
  "The change is in place, and all 214 tests pass.",
];

type Put = (ago: number, entry: JournalEntry) => void;

/** Turns of equal length; the last is open while the chat works. */
function addTurns(put: Put, asks: readonly string[], from: number, to: number, isIdle: boolean): void {
  const each = (from - to) / asks.length;
  for (const [turn, text] of asks.entries()) {
    const begun = from - turn * each;
    const isLast = turn === asks.length - 1;
    const took = each * (isLast ? 1 : 0.55 + 0.1 * (turn % 3));
    put(begun, { kind: "prompt", text });
    for (let step = 1; step <= 5; step++) {
      const ago = begun - (took * step) / 7;
      const tool = step % 2 ? { name: "Edit", input: "src/retry.ts" } : { name: "Bash", input: "npm test" };
      const call = { id: `t${turn}-${step}`, ...tool };
      put(ago, { kind: "tool_start", ...call });
      if (step === 2 && turn === 0)
        put(ago - 0.2, { kind: "tool_error", ...call, text: "one test failed", durationMs: 9_200 });
      else put(ago - 0.2, { kind: "tool_end", ...call, durationMs: 4_200 });
    }
    if (isLast && !isIdle) return;
    put(begun - took + 0.1, { kind: "assistant", text: answers[turn % answers.length] ?? "" });
    put(begun - took, { kind: "turn_end" });
  }
}

/** No transcript of these chats exists, and what is said of that arrives later than the rest of a view. */
function withoutDiagnosis(page: Page): Promise<unknown> {
  return page.route("**/api/call", (route) =>
    (route.request().postDataJSON() as { name: string }).name === "recovery.diagnose"
      ? route.fulfill({ json: { diagnosis: null } })
      : route.fallback(),
  );
}

/** The view once no request is open and two pictures are the same, with one name of the machine's folder, whose length differs. */
async function settledPicture(page: Page, open: ReadonlySet<Request>, folder: string): Promise<Buffer> {
  const rename = `{
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const { data } = texts.currentNode;
      if (data.includes(${JSON.stringify(folder)})) texts.currentNode.data = data.replaceAll(${JSON.stringify(folder)}, "/home/ann");
    }
  }`;
  const take = async (): Promise<Buffer> => {
    await page.evaluate(rename);
    return page.screenshot({ fullPage: true, animations: "disabled" });
  };
  for (let before = await take(); ;) {
    const isQuiet = open.size === 0;
    const after = await take();
    if (isQuiet && after.equals(before)) return after;
    before = after;
  }
}

/** Of a picture's pixels: text that moves by a line, or letters of another size, are far above it. */
const largestDifference = 0.005;

it.each([
  ["light", 1_000],
  ["dark", 1_000],
  ["light", 375],
] as const)("each view is as in its picture, in the %s theme at %i px", async (colorScheme, width) => {
  const { home, team, page } = await aFleetPage({ colorScheme, viewport: { width, height: 640 } });
  seedExperiments(home.runtime);
  await page.clock.setFixedTime(home.now);
  await withoutDiagnosis(page);
  const open = new Set<Request>();
  page.on("request", (request) => open.add(request));
  page.on("requestfinished", (request) => open.delete(request));
  page.on("requestfailed", (request) => open.delete(request));
  const differences: Record<string, number> = {};
  for (const [path, text] of views(team)) {
    await go(page, path, text);
    await page.evaluate("document.activeElement.blur()");
    const name = `${path.split("/").length > 1 ? "one-" : ""}${path.split("/")[0]}-${colorScheme}-${width}`;
    const screenshot = await settledPicture(page, open, home.folder);
    const difference = differenceFromStored(screenshot, join(pictures, `${name}.png`));
    if (difference > largestDifference) differences[name] = difference;
  }
  expect(differences).toEqual({});
});

/** Writes the pictures of the guide: `SHIM_PICTURES=1 npx vitest run test/web/pictures.test.ts`. */
it.runIf(storesPictures)("pictures of the guide @night", async () => {
  const home = aCliHome();
  home.now = new Date(2026, 10, 27, 17, 40).getTime();
  const [asking = "", , , , , , index = ""] = seedDay(home);
  seedTeam(home, index, 4_006);
  home.runtime.config.answers.isEnabled = true;
  const chat = addChat(home, { title: "Parser: keep the last line", project: "/home/ann/work/search" });
  chat.asks("the parser drops the last line: fix it and add a test");
  chat.calls("Read", { file_path: "src/parser.ts" }, "line\n".repeat(214));
  const lines = {
    old_string: "while (at < end - 1) {\n  read(at++);",
    new_string: "while (at < end) {\n  read(at++);",
  };
  chat.calls("Edit", { file_path: "src/parser.ts", ...lines }, "updated");
  chat.calls("Bash", { command: "npm test -- parser" }, "1 failed\nExit code 1", true);
  chat.says(markdownAnswer);
  chat.asks("A, and then run all tests").calls("Bash", { command: "npm test" }, null);
  home.now = chat.at + 4_000;
  const { page } = await openHome(home, { viewport: { width: 1_000, height: 700 } });
  await page.clock.install({ time: home.now });
  await withoutDiagnosis(page);
  mkdirSync(folder, { recursive: true });
  const views = [
    ["fleet", "fleet", "Needs you"],
    ["day", "day", "Payments"],
    [`chat/${chatId}`, "chat", "npm test -- parser"],
    ["dead", "dead", "3 dead tasks match"],
  ] as const;
  for (const [path, name, text] of views) {
    await page.setViewportSize({ width: 1_000, height: name === "chat" ? 940 : 700 });
    await page.evaluate(`location.hash = ${JSON.stringify(`#/${path}`)}`);
    await page.getByText(text).first().waitFor();
    if (name === "day") {
      await page.getByRole("button", { name: "12 hours" }).click();
      await page.getByRole("img").first().waitFor();
    }
    if (name === "chat") {
      await page.locator(".call", { hasText: "Edit" }).locator("summary").click();
      await page.getByText("at < end - 1").waitFor();
      await page.locator(".hljs-keyword").first().waitFor();
    }
    await page.evaluate("document.activeElement.blur()");
    await page.screenshot({ path: join(folder, `${name}.png`) });
  }
  const text = "npm publish --tag next\nin /home/ann/work/shop";
  const times = { askedAt: home.now - 20_000, endsAt: home.now + 550_000 };
  const asked = { ...aPermission, id: "k3v9", session: asking, text, ...times };
  void home.runtime.permissions.open(asked);
  await page.setViewportSize({ width: 375, height: 700 });
  await page.evaluate('location.hash = "#/fleet"');
  await page.getByText("npm publish").waitFor();
  const clip = { x: 0, y: 42, width: 375, height: 440 };
  await page.screenshot({ path: join(folder, "answer.png"), clip });
});
