import { afterAll, it } from "vitest";
import { addSession, aCliHome } from "#harness/machine/cli-home.ts";
import { initWithRemote } from "#harness/machine/git-project.ts";
import { closeBrowser, openTab } from "#harness/web/browser.ts";
import { servePage } from "#harness/web/live-page.ts";

afterAll(closeBrowser);

it("the chat's view lists what cannot be undone, and asks the remote when the user wants it", async () => {
  const home = aCliHome();
  initWithRemote(home.project);
  const effects = [{ kind: "push", command: "git push origin main", shows: "all", branch: "main" } as const];
  const call = { id: "c1", name: "Bash", input: "git push origin main" };
  addSession(home, {
    id: "pusher",
    title: "push the release",
    entries: [
      { kind: "prompt", text: "push the release" },
      { kind: "tool_start", ...call, effects },
    ],
  });
  const served = await servePage(home, { isBuilt: true });
  const { page } = await openTab(served.link());
  await page.getByText("push the release").first().waitFor();
  await page.evaluate('location.hash = "#/chat/pusher"');
  await page.getByText("cannot be undone: git push origin main: unknown").waitFor();
  await page.getByText("What it did that cannot be undone").click();
  await page.getByText("To find out: git ls-remote origin main").waitFor();
  await page.getByRole("button", { name: "Ask the remotes" }).click();
  await page.getByText("Asked: origin has no main").waitFor();
});
