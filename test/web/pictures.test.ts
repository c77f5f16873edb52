import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, it } from "vitest";
import { aCliHome } from "#harness/machine/cli-home.ts";
import { closeBrowser, openTab } from "#harness/web/browser.ts";
import { seedDay, seedTeam } from "#harness/web/seeds.ts";
import { servePage } from "#harness/web/live-page.ts";

afterAll(closeBrowser);

const folder = join(import.meta.dirname, "..", "..", "docs", "guide", "live-page");

/** Writes the pictures of the guide: `SHIM_PICTURES=1 npx vitest run test/web/pictures.test.ts`. */
it.runIf(process.env["SHIM_PICTURES"] === "1")("pictures of the guide @night", async () => {
  const home = aCliHome();
  home.now = new Date(2026, 10, 27, 17, 40).getTime();
  const [asking = "", died = "", , , , , index = ""] = seedDay(home);
  seedTeam(home, index, 4_006);
  const served = await servePage(home, { isBuilt: true });
  const { page } = await openTab(served.link(), { viewport: { width: 1_000, height: 700 } });
  await page.clock.install({ time: home.now });
  // The folders of that day are on no machine, and Claude Code has no conversation of it.
  await page.route("**/api/call", (route) =>
    (route.request().postDataJSON() as { name: string }).name === "recovery.diagnose"
      ? route.fulfill({ json: { diagnosis: null } })
      : route.fallback(),
  );
  mkdirSync(folder, { recursive: true });
  const views = [
    ["fleet", "fleet", "Needs you"],
    ["day", "day", "Payments"],
    [`chat/${died}`, "chat", "Timeline"],
    ["dead", "dead", "3 dead tasks match"],
  ] as const;
  for (const [path, name, text] of views) {
    await page.evaluate(`location.hash = ${JSON.stringify(`#/${path}`)}`);
    await page.getByText(text).first().waitFor();
    if (name === "day") {
      await page.getByRole("button", { name: "12 hours" }).click();
      await page.getByRole("img").first().waitFor();
    }
    await page.evaluate("document.activeElement.blur()");
    await page.screenshot({ path: join(folder, `${name}.png`) });
  }
  home.runtime.config.answers.isEnabled = true;
  const text = "npm publish --tag next\nin /home/ann/work/shop";
  const times = { askedAt: home.now - 20_000, endsAt: home.now + 550_000 };
  const asked = { id: "k3v9", session: asking, agent: null, tool: "Bash", toolInput: {}, text, reason: null, ...times };
  void home.runtime.permissions.open(asked);
  await page.setViewportSize({ width: 375, height: 700 });
  await page.evaluate('location.hash = "#/fleet"');
  await page.getByText("npm publish").waitFor();
  const clip = { x: 0, y: 42, width: 375, height: 440 };
  await page.screenshot({ path: join(folder, "answer.png"), clip });
});
