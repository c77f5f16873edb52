import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { aCliHome } from "#harness/machine/cli-home.ts";
import { write } from "#harness/machine/git-project.ts";
import { undoRigIn } from "#harness/machine/undo-rig.ts";
import { closeBrowser, openTab } from "#harness/web/browser.ts";
import { servePage } from "#harness/web/live-page.ts";

afterAll(closeBrowser);

it("the chat's view shows what its last turn changed, asks, and takes it back", async () => {
  const home = aCliHome();
  const rig = undoRigIn(home, { "a.txt": "one\n" });
  const work = (): void => write(home.project, { "a.txt": "two\n", "new.txt": "new\n" });
  await rig.turn("rewrite it", { tool: "Bash", work });
  const served = await servePage(home, { isBuilt: true });
  const { page } = await openTab(served.link());
  await page.getByText("rewrite it").first().waitFor();
  await page.evaluate(`location.hash = "#/chat/${rig.claude.session}"`);
  await page.getByText("What its last turn changed, to take it back").click();
  await page.getByText("new.txt: is deleted").waitFor();
  expect(await page.getByText("-two").textContent()).toContain("+one");
  await page.getByRole("button", { name: "Take back", exact: true }).click();
  const dialog = page.getByRole("dialog");
  expect(await dialog.textContent()).toContain("2 files");
  await dialog.getByRole("button", { name: "Take back" }).click();
  await dialog.waitFor({ state: "detached" });
  expect(readFileSync(join(home.project, "a.txt"), "utf8")).toBe("one\n");
  expect(existsSync(join(home.project, "new.txt"))).toBe(false);
  await page.getByText("Nothing of it can be put back.").waitFor();
});
