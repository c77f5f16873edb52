import type { Page } from "playwright-core";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { aCliHome, type CliHome, type Ran } from "#harness/machine/cli-home.ts";
import type { Io } from "#src/cli/io.ts";
import { PhoneLinks } from "#src/local-mcp/host/phone-links.ts";
import { openTab, type Tab } from "./browser.ts";
import { built } from "./live-page.ts";
import { seedFleet } from "./seeds.ts";

/** With the page that `npm run build` made. */
export function anEdge(): Promise<EdgeRuntime> {
  return EdgeRuntime.open({ page: join(built, "web") });
}

export const phone = {
  viewport: { width: 375, height: 740 },
  userAgent: "Mozilla/5.0 (Linux; Android 16; Pixel 9) Chrome/150",
};

interface Machine {
  readonly home: CliHome;
  readonly links: PhoneLinks;
}

/** A machine with chats, in the workspace of the coordinator. */
export async function aMachineOn(
  edge: EdgeRuntime,
  name = "m1",
  seed: (home: CliHome) => void = seedFleet,
): Promise<Machine> {
  const home = aCliHome();
  seed(home);
  await edge.join(home.runtime.paths.home, name);
  const links = new PhoneLinks(home.runtime);
  onTestFinished(() => links.close());
  return { home, links };
}

/** A machine with chats, in no workspace: its phones reach it over its own relay. */
export function aMachineAlone(): Machine {
  const home = aCliHome();
  seedFleet(home);
  Object.assign(home.runtime, { launch: { ...home.runtime.launch, hookScript: join(built, "hook.cjs") } });
  const links = new PhoneLinks(home.runtime);
  home.ownRelay = async () => links.door;
  onTestFinished(() => links.stop());
  return { home, links };
}

interface Paired extends Machine, Tab {
  readonly ran: Ran;
  /** From the opened link to the end of the command, without the user's own time, in ms. */
  readonly tookMs: number;
}

interface Pairing {
  readonly words?: string;
  /** One that is open; absent: another browser. */
  readonly tab?: Tab;
  /** The address that the browser opens the link at; absent: that of the link. */
  readonly origin?: string;
}

/** `shim pair`, and a browser that opens its link; the user compares the numbers. */
export async function pairWith(
  { home, links }: Machine,
  { words = "pair", tab, origin }: Pairing = {},
): Promise<Paired> {
  let used: Tab | null = tab ?? null;
  let isOpened = false;
  let said = "";
  let beganAt = 0;
  const open = async (link: string): Promise<void> => {
    beganAt = performance.now();
    if (used === null) used = await openTab(link, phone);
    else await used.page.goto(link);
    isOpened = true;
    await used.page.getByText("Compare with your terminal").waitFor();
  };
  const terminal: Partial<Io> = {
    isInteractive: true,
    interrupted: () => new AbortController().signal,
    stderr: (more) => void (said += more),
    wait: async () => {
      const [link = ""] = /http\S+#pair=\S+/.exec(said) ?? [];
      if (!isOpened) await open(origin === undefined ? link : link.replace(new URL(link).origin, origin));
    },
    ask: async (question) => {
      const [number = "none"] = /\d{3} \d{3}/.exec(question) ?? [];
      expect(question).toContain('"Pixel 9, Chrome" has opened the link');
      await used?.page.getByText(number).waitFor();
      return "y";
    },
  };
  const ran = await home.shimWith(terminal, words);
  links.refresh();
  const { page, faults } = used ?? (await openTab("about:blank"));
  return { home, links, ran, page, faults, tookMs: performance.now() - beganAt };
}

/** A machine, and a phone that shows its chats. */
export async function paired(words = "pair"): Promise<Paired> {
  const one = await pairWith(await aMachineOn(await anEdge()), { words });
  const beganAt = performance.now();
  await one.page.getByText("Payments").first().waitFor();
  return { ...one, tookMs: one.tookMs + performance.now() - beganAt };
}

/** The view of this phone, behind "More". */
export async function openPhoneView(page: Page): Promise<void> {
  await page.getByRole("button", { name: "More" }).click();
  const links = page.getByRole("navigation").getByRole("link");
  expect(await links.allTextContents()).toEqual(["Chats", "Day", "Messages", "This phone"]);
  await links.last().click();
}
