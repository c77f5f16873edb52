import { expect, it, onTestFinished } from "vitest";
import { watchCommits } from "#src/platform/watch-commits.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { openStore, tempHome } from "#harness/store/temp-store.ts";

const setTimer = (work: () => void, ms: number): (() => void) => {
  const timer = setTimeout(work, ms);
  return () => clearTimeout(timer);
};

it("[SY64] a commit of another connection is noticed once it can be read", async () => {
  const paths = tempHome();
  expect(watchCommits(paths.database, setTimer, () => true)).toBeNull();
  const [reader, writer] = [openStore(openBetterSqlite3, paths), openStore(openBetterSqlite3, paths)];
  writer.write((sql) => sql.run("CREATE TABLE notes (text TEXT) STRICT"));
  let version = reader.version();
  for (const text of ["one", "two"]) {
    const noticed = Promise.withResolvers<void>();
    const stop = watchCommits(paths.database, setTimer, () => {
      if (reader.version() === version) return false;
      noticed.resolve();
      return true;
    });
    if (!stop) throw new Error("the folder cannot be watched");
    onTestFinished(stop);
    writer.write((sql) => sql.run("INSERT INTO notes VALUES (?)", text));
    await noticed.promise;
    expect(reader.read((sql) => sql.all("SELECT text FROM notes"), [])).toContainEqual({ text });
    version = reader.version();
    stop();
  }
});
