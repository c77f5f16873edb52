import { expect, it } from "vitest";
import { Turns } from "#src/local-mcp/host/turns.ts";

/** Turns that end when the test says so. */
function aMachine() {
  const done: string[] = [];
  const waiting: (() => void)[] = [];
  const turns = new Turns((next) => void waiting.push(next));
  const [one, other] = [{}, {}];
  const send = (chat: object, ...names: string[]): void => {
    for (const name of names) turns.take(chat, () => void done.push(name));
  };
  return { turns, one, other, send, done, endTurn: () => waiting.shift()?.() };
}

it("the message of a chat waits for one of each other chat, not for the thousand that another has sent", () => {
  const { one, other, send, done, endTurn } = aMachine();
  send(one, "a1", "a2", "a3");
  send(other, "b1", "b2");
  expect(done).toEqual(["a1"]);
  for (let turn = 0; turn < 4; turn++) endTurn();
  expect(done).toEqual(["a1", "a2", "b1", "a3", "b2"]);
  endTurn();
  send(other, "b3");
  expect(done.at(-1)).toBe("b3");
});

it("a chat that moves to another host leaves nothing to do here", () => {
  const { turns, one, other, send, done, endTurn } = aMachine();
  send(one, "a1", "a2");
  send(other, "b1");
  turns.forget(one);
  endTurn();
  endTurn();
  expect(done).toEqual(["a1", "b1"]);
});
