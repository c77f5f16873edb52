import { expect } from "vitest";
import { Keeper } from "#harness/edge/oauth-keeper.ts";
import { begin, open, pathOf } from "./oauth-client.ts";
import { it, request } from "./support.ts";

it("a request whose scopes are all unknown is sent back as invalid_scope; known ones among others are shown", async () => {
  const { url } = await begin();
  for (const scope of ["nothing", "\u00A0", "ADMIN", "observe\tadmin", "admin,work", "offline_access"]) {
    url.searchParams.set("scope", scope);
    const answer = await request(pathOf(url), { redirect: "manual" });
    const { searchParams, host } = new URL(answer.headers.get("location") ?? "");
    expect([scope, answer.status, host]).toEqual([scope, 302, "client.example"]);
    expect(Object.fromEntries(searchParams)).toMatchObject({ error: "invalid_scope", state: "state-of-the-client" });
  }
  for (const [scope, shown] of [
    ["nothing observe", "It asks for <strong>observe</strong>"],
    ["work observe work", "It asks for <strong>work</strong>"],
    ["  ", "It asks for all that your token permits"],
  ] as const) {
    url.searchParams.set("scope", scope);
    expect((await open(url)).html).toContain(shown);
  }
});

it("before anything is granted the page names the workspace and the scope of the token, and what is granted", async ({
  workspace,
}) => {
  for (const [permitted, asked, granted] of [
    ["work", "observe", "observe"],
    ["observe", "admin", "observe"],
    ["submit", null, "submit"],
  ] as const) {
    const { token } = await workspace.tokenOf(permitted);
    const keeper = new Keeper();
    const { url, transport } = await begin(keeper);
    if (asked !== null) url.searchParams.set("scope", asked);
    const shown = await (await open(url)).paste(token);
    expect([shown.status, shown.headers.get("location")]).toEqual([200, null]);
    const text = shown.html.replaceAll(/\s+/g, " ");
    expect(text).toContain(
      `for the workspace <strong>${workspace.name}</strong>, with the scope <strong>${permitted}</strong>`,
    );
    expect(text).toContain(`The application gets <strong>${granted}</strong>`);
    expect(text).not.toContain(token);
    const answer = await shown.send({ decision: "allow", scope: "admin" });
    await transport.finishAuth(new URL(answer.headers.get("location") ?? "").searchParams);
    expect(keeper.tokens()?.scope).toBe(granted);
  }
});

it("nothing is granted by the first page's form alone, nor by a token that was revoked in between", async ({
  workspace,
}) => {
  const { url } = await begin();
  const page = await open(url);
  const skipped = await page.send({ decision: "allow" });
  expect([skipped.status, skipped.headers.get("location")]).toEqual([403, null]);
  const { id, token } = await workspace.tokenOf("observe");
  const shown = await (await open(url)).paste(token);
  await workspace.ask("tokens.revoke", { id });
  const refused = await shown.send({ decision: "allow" });
  expect([refused.status, refused.headers.get("location")]).toEqual([403, null]);
  const denied = await (await (await open(url)).paste(workspace.token)).send({ decision: "deny" });
  expect(new URL(denied.headers.get("location") ?? "").searchParams.get("error")).toBe("access_denied");
});

async function shownFor(name: string): Promise<string> {
  const keeper = new Keeper();
  keeper.clientMetadata.client_name = name;
  const { url } = await begin(keeper);
  return /<h1>Connect ([^]*) to SHIM\?<\/h1>/.exec((await open(url)).html)?.[1] ?? "";
}

it("a client's name is one line of at most 100 visible characters", async () => {
  expect(await shownFor("Notes\u202Etxt.exe\u200B \u2066x\u2069\uFEFF\u3164")).toBe("Notes�txt.exe� �x���");
  expect(await shownFor("Notes\r\n\n\tPublished by: example.com\u2028x\u0007")).toBe(
    "Notes Published by: example.com�x�",
  );
  const long = await shownFor("N".repeat(50_000));
  expect([Array.from(long).length, long.endsWith("N…")]).toEqual([100, true]);
  expect(await shownFor("Übersicht – 記事 😀")).toBe("Übersicht – 記事 😀");
});

it("a form that cannot be read is refused as a bad request", async () => {
  const { url } = await begin();
  for (const [type, body] of [
    ["multipart/form-data; boundary=x", "--x\r\nbroken"],
    ["multipart/form-data", "--x--"],
    ["multipart/form-data; boundary=x", ""],
    ["application/json", "{}"],
    ["text/plain", "handle=1"],
  ] as const) {
    const answer = await request(pathOf(url), { method: "POST", headers: { "content-type": type }, body });
    expect([type, body, answer.status]).toEqual([type, body, 400]);
  }
});
