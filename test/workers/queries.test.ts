import { expect } from "vitest";
import { bearer, it, request } from "./support.ts";

async function refusalOf(response: Promise<Response>): Promise<[status: number, code: string | undefined]> {
  const answer = await response;
  return [answer.status, (await answer.json<{ error?: { code: string } }>()).error?.code];
}

it("[WI10] a query that is not UTF-8 or has a parameter twice is refused", async ({ workspace }) => {
  await workspace.ask("state.set", { key: "k", value: 1 });
  const headers = bearer(workspace.token);
  const base = `/v1/workspaces/${workspace.name}`;
  for (const query of ["key=%ff", "key=%E0%A4", "key=%", "%ff=k", "key=k&key=k", "key=k&%6bey=j"]) {
    const refused = await refusalOf(request(`${base}/state?${query}`, { headers }));
    expect([query, ...refused]).toEqual([query, 400, "bad_input"]);
  }
  expect((await request(`${base}/state?key=k&`, { headers })).status).toBe(200);
  const twice = request(`${base}/connect?chat=a&chat=b`, { headers: { ...headers, upgrade: "websocket" } });
  expect(await refusalOf(twice)).toEqual([400, "bad_input"]);
});

it("[WI10] an oversized value is too large", async ({ workspace }) => {
  const { status, error } = await workspace.call("state.set", { key: "k", value: "x".repeat(140_000) });
  expect([status, error?.code]).toEqual([413, "too_large"]);
});

it("[SV4] who asks from a revision that is none is told what that means", async ({ workspace }) => {
  const { error } = await workspace.call("state.changes", { after: 5_000 });
  expect(error?.message).toMatch(
    /^revision 5000 was never issued here, or was lost in a restore \(the newest is \d+\)/,
  );
});
