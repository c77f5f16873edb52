import type { Page } from "playwright-core";
import { afterAll, expect, it } from "vitest";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { countCost } from "#src/machine/sessions/usage/ledger.ts";
import { addSession, type CliHome } from "#harness/machine/cli-home.ts";
import { patience } from "#harness/machine/programs.ts";
import { aFleetPage, closeBrowser, go } from "#harness/web/browser.ts";
import { fleetIds } from "#harness/web/seeds.ts";

afterAll(closeBrowser);

/** What the commands say of the chats: counts of all, and of each its own. */
async function numbersOfCommands(home: CliHome) {
  const { sessions: all, ended } = (await home.json("up")) as { sessions: Listed[]; ended: number };
  const named = (state: string): Listed[] => all.filter((one) => one.state === state);
  const [, today = ""] = /^\d{4}-\S+ .* (\S+)$/m.exec((await home.shim("cost")).out) ?? [];
  const [titles, ...lines] = table((await home.shim("sessions")).out);
  const columns = lines.map((line) => Object.fromEntries(line.map((value, at) => [titles?.[at], value])));
  const rows = columns.flatMap(({ STATE, TITLE, SEEN, SAVED }) =>
    STATE === "works" ? [[TITLE, SEEN, SAVED].join()] : [],
  );
  const fills = named("works").map(({ contextFill: fill }) => (fill === null ? "" : `${Math.round(100 * fill)} %`));
  return {
    works: named("works").length,
    needs: named("waits").length + named("died").length,
    ended,
    today,
    rows: rows.toSorted(),
    fills: fills.toSorted(),
  };
}

interface Listed {
  readonly state: string;
  readonly contextFill: number | null;
}

function table(out: string): string[][] {
  return out
    .trim()
    .split("\n")
    .map((line) => line.split(/ {2,}/));
}

async function numbersOfPage(page: Page) {
  const text = await page.locator("main").innerText();
  const number = (pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? 0);
  const texts = async (part: string): Promise<string[]> =>
    page.locator(`.rows:not(details *) > li ${part}`).allInnerTexts();
  const [titles, seen, saved] = await Promise.all([".main a", ".seen", ".saved"].map(texts));
  return {
    works: number(/(\d+) at work/),
    needs: number(/Needs you\s+(\d+)/),
    ended: number(/(\d+) ended in the last day/),
    today: /(\S+) today/.exec(text)?.[1],
    rows: titles?.map((title, at) => [title, seen?.[at], saved?.[at]?.replace("saved ", "")].join()).toSorted(),
    fills: (await texts(".sum.share")).map((share) => share.split("\n").at(-1) ?? "").toSorted(),
  };
}

it("each number of the page is that of the commands: chats by state, their context, their cost today, when they were seen and saved", async () => {
  const { page, home } = await aFleetPage();
  const change = (fill: number, usd: number): void =>
    home.runtime.store.write((sql) => {
      const contextFill = { value: fill, source: "measured", at: home.now } as const;
      sessions.update(sql, fleetIds.works, { readings: { contextFill } });
      const chat = sessions.get(sql, fleetIds.works);
      if (chat) countCost(sql, chat, usd, "claude-opus-5-5", home.now);
    });
  for (const [fill, usd] of [
    [0.504, 1.755],
    [0.996, 3.1],
  ] as const) {
    addSession(home, { id: `aaaa${fill * 1_000}-0000-4000-8000-000000000009`, pid: 1_002, title: `Chat ${fill}` });
    home.now += 125_000;
    change(fill, usd);
    const expected = await numbersOfCommands(home);
    expect(expected.rows.length).toBeGreaterThan(1);
    await expect.poll(() => numbersOfPage(page), patience).toEqual(expected);
  }
});

it("the tasks of the page are counted as `shim up` counts them", async () => {
  const { page, home } = await aFleetPage();
  await go(page, "tasks", "wait to start");
  const [, waiting, under, done, all] =
    /tasks: (\d+) waiting, (\d+) under way, (\d+) done, (\d+) in all/.exec((await home.shim("up")).out) ?? [];
  const text = await page.locator("main").innerText();
  const share = Math.floor((100 * Number(done)) / Number(all));
  expect(text).toContain(`${share} % of ${all} tasks done · ${under} under way in 1 chat · ${waiting} wait to start`);
});
