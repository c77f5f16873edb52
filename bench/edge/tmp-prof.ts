import { Desk } from "./desk.ts";
const desk = await Desk.open(false);
const c = await desk.client("p");
const { self } = c;
const N = 100,
  F = 80;
async function time(name: string, make: (n: number, f: number) => { method: string; params: object }): Promise<void> {
  const ts: number[] = [];
  for (let f = 0; f < F; f++) {
    const calls = Array.from({ length: N }, (_, n) => make(n, f));
    const t = performance.now();
    await c.batch(calls);
    ts.push(performance.now() - t);
  }
  ts.sort((a, b) => a - b);
  console.log(
    name.padEnd(16),
    ((ts[F >> 1]! * 1000) / N).toFixed(1),
    "us/op p50",
    ((ts[F >> 2]! * 1000) / N).toFixed(1),
    "p25",
  );
}
await time("elections.observe", () => ({ method: "elections.observe", params: { name: "x" } }));
await time("state.get", (n) => ({ method: "state.get", params: { key: `k${n}` } }));
await time("heartbeat", () => ({ method: "chats.heartbeat", params: { self } }));
await time("release none", (n) => ({ method: "leases.release", params: { self, resource: `x${n}`, token: 5 } }));
{
  const a: number[] = [],
    r: number[] = [];
  for (let f = 0; f < F; f++) {
    let t = performance.now();
    const ans = (await c.batch(
      Array.from({ length: N }, (_, n) => ({
        method: "leases.acquire",
        params: { self, resource: `b${n}`, requestId: `r${f}` },
      })),
    )) as { lease: { token: number } }[];
    a.push(performance.now() - t);
    t = performance.now();
    await c.batch(
      ans.map(({ lease }, n) => ({
        method: "leases.release",
        params: { self, resource: `b${n}`, token: lease.token },
      })),
    );
    r.push(performance.now() - t);
  }
  a.sort((x, y) => x - y);
  r.sort((x, y) => x - y);
  console.log(
    "acquire",
    (a[F >> 1]! * 10).toFixed(1),
    (a[F >> 2]! * 10).toFixed(1),
    "release",
    (r[F >> 1]! * 10).toFixed(1),
    (r[F >> 2]! * 10).toFixed(1),
  );
}
await time("state.set", (n, f) => ({ method: "state.set", params: { key: `k${n}`, value: f } }));
c.close();
await desk.close();
