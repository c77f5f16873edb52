import { afterAll, expect, it, onTestFinished } from "vitest";
import { PhoneLinks } from "#src/local-mcp/host/phone-links.ts";
import { addSession, type CliHome } from "#harness/machine/cli-home.ts";
import { aPermission } from "#harness/machine/request-rig.ts";
import { axeFaults, closeBrowser } from "#harness/web/browser.ts";
import { CutProxy, freePort } from "#harness/edge/real-server.ts";
import { aMachineAlone, aMachineOn, anEdge, pairWith, openPhoneView } from "#harness/web/paired-phone.ts";

afterAll(closeBrowser);

const boxChat = "55550000-0000-4000-8000-000000000005";

function seedBox(home: CliHome): void {
  home.alive.add(1_005);
  addSession(home, { id: boxChat, pid: 1_005, title: "Renderer: dark mode" });
}

it("a phone that pairs with a second machine keeps the first: one list has the chats of both, each opens, what is off is named with its time, and each is forgotten by itself", async () => {
  const edge = await anEdge();
  const first = await pairWith(await aMachineOn(edge, "ada-laptop"));
  const { page, faults } = first;
  await page.getByText("Payments").first().waitFor();
  const box = await aMachineOn(edge, "build-box", seedBox);
  const second = await pairWith(box, { tab: first });
  await page.getByText("build-box is paired.").waitFor();
  await page.getByText("Payments").first().waitFor();
  await page.getByRole("link", { name: "Renderer: dark mode" }).click();
  await page.getByText("fix the parser of 55550000").first().waitFor();
  await page.reload();
  await page.getByText("fix the parser of 55550000").first().waitFor();
  await page.evaluate('location.hash = "#/fleet"');
  await page.getByText("Renderer: dark mode").waitFor();
  expect(await page.getByText(/build-box/).count()).toBeGreaterThan(0);
  expect(await axeFaults(page)).toEqual([]);
  expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(375);
  second.links.close();
  await page
    .getByText(/^build-box is off or asleep, or no chat runs there \(last heard .*\): its chats are not shown\.$/)
    .waitFor();
  await page.getByText("Renderer: dark mode").waitFor({ state: "detached" });
  await page.getByText("live", { exact: true }).waitFor();
  await openPhoneView(page);
  await page.getByText(/^Build-box is off or asleep, or no chat runs there\. Last heard: /).waitFor();
  await page.getByText("on", { exact: true }).waitFor();
  expect(await axeFaults(page)).toEqual([]);
  await page.getByRole("button", { name: "Forget this machine: build-box" }).click();
  await page.getByText("build-box is forgotten.").waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "ada-laptop" }).waitFor();
  expect(await page.getByRole("heading", { name: "build-box" }).count()).toBe(0);
  expect(faults).toEqual([]);
});

it("a network that passes nothing and says nothing: the page says since when it is not live, acts on nothing, and is live again without a reload, whatever its old connection does late", async () => {
  const edge = await anEdge();
  const wire = await CutProxy.to(edge.url);
  const { page, home, links } = await pairWith(await aMachineOn(edge), { words: "pair --answer", origin: wire.url });
  await page.getByText("Payments").first().waitFor();
  home.runtime.config.answers.isEnabled = true;
  const asked = { ...aPermission, text: "rm -r build" };
  const times = { askedAt: home.now, endsAt: home.now + 570_000 };
  const session = "11110000-0000-4000-8000-000000000001";
  const decided = home.runtime.permissions.open({ id: "k3v9", session, ...asked, ...times });
  links.changed("sessions");
  const allow = page.getByRole("button", { name: "Allow Bash" });
  await allow.waitFor();
  await page.clock.install();
  for (const isLong of [false, true]) {
    wire.cut();
    for (const ms of [16_000, 5_000, ...(isLong ? [3_600_000] : [])]) await page.clock.fastForward(ms);
    await page.getByText(/^Not live since \d.*: 127\.0\.0\.1:\d+ does not answer\./).waitFor();
    expect([
      await allow.isDisabled(),
      await page.getByText(/^Not possible now: 127\.0\.0\.1:\d+ does not answer\.$/).count(),
    ]).toEqual([true, 1]);
    expect(await axeFaults(page)).toEqual([]);
    // Also the late end of what was open.
    wire.heal();
    await page.clock.fastForward(3_000);
    await page.getByText("live", { exact: true }).waitFor();
    await page.clock.fastForward(1_000);
    expect(await page.getByText("Not live").count()).toBe(0);
  }
  await allow.click();
  expect(await decided).toMatchObject({ behavior: "allow" });
});

it("without a coordinator the machine's own relay serves the page: the phone shows the chats, after a reload and a new start of the relay too", async () => {
  const machine = aMachineAlone();
  const port = await freePort();
  const { page, faults } = await pairWith(machine, { words: `pair --url http://127.0.0.1:${port} --port ${port}` });
  await page.getByText("Payments").first().waitFor();
  await page.reload();
  await page.getByText("Payments").first().waitFor();
  await machine.links.stop();
  await page.getByText(/^Not live since .*: 127\.0\.0\.1:\d+ does not answer\./).waitFor();
  const links = new PhoneLinks(machine.home.runtime);
  onTestFinished(() => links.stop());
  links.refresh();
  await page.getByText("live", { exact: true }).waitFor();
  expect(await page.evaluate("navigator.serviceWorker.ready.then(() => caches.match('/')).then(Boolean)")).toBe(true);
  expect(faults.filter((fault) => !/ERR_CONNECTION_REFUSED/.test(fault))).toEqual([]);
});
