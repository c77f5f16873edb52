/** The size of each room of `src`. [docs/decisions/0062-rooms-have-a-number.md] */

/** Where the numbers stand: lines `- room number: what its last raise brings`. */
export const numbersPath = "docs/decisions/0062-rooms-have-a-number.md";

/** Lines that a number may be above its room: a room that shrank by more has its number lowered. */
const slack = 100;

/** The room of a file of `src`; `machine` is a house of rooms. */
export function roomOf(path: string): string {
  const [, room = "", inner = ""] = path.split("/");
  return room === "machine" ? `machine/${inner}` : room;
}

/**
 * Rooms that have outgrown their number, have none, or have shrunk far below it.
 *
 * @param numbers the text of `numbersPath`
 * @param files of `src`, with their sources
 */
export function sizeFaults(numbers: string, files: readonly { path: string; source: string }[]): string[] {
  const lines = new Map<string, number>();
  for (const { path, source } of files) {
    const room = roomOf(path);
    lines.set(room, (lines.get(room) ?? 0) + source.split("\n").length - 1);
  }
  const rows = [...numbers.matchAll(/^- ([a-z/-]+) (\d+)(?:$|: \S)/gm)];
  const numberOf = new Map(rows.map(([, room = "", most]) => [room, Number(most)]));
  return [...lines].flatMap(([room, count]) => {
    const most = numberOf.get(room);
    if (most === undefined) return [`src/${room} has ${count} lines and no number in ${numbersPath}`];
    if (count > most)
      return [
        `src/${room} has ${count} lines, its number is ${most}: delete, or raise it in ${numbersPath} and say there what that brings`,
      ];
    return most - count > slack
      ? [`src/${room} has ${count} lines: lower its number of ${most} in ${numbersPath}`]
      : [];
  });
}
