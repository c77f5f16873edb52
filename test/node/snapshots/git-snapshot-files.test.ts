import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { FileNote } from "#src/contract/work-state.ts";
import { compareFiles, noteFile, type FileFacts } from "#src/snapshots/file-state.ts";
import { hasNpmToken, isSecretName } from "#src/snapshots/secret-names.ts";
import { LIMITS, temporaryFolder, write } from "#harness/machine/git-project.ts";

function sha256(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

function why(path: string): string | undefined {
  return noteFile(path, "noted", LIMITS).skipped;
}

function closed(): FileFacts {
  return { isThere: null, hash: null, skipped: "unreadable", bytes: 0 };
}

const states = (notes: readonly FileNote[]) => compareFiles(notes).map(({ now }) => now);

it("notes the SHA-256 of a file's content", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200_000 }), (content) => {
      const path = join(temporaryFolder(), "f");
      writeFileSync(path, content);
      expect(noteFile(path, "edited", LIMITS)).toEqual({ path, hash: sha256(content), action: "edited" });
    }),
    { numRuns: 30 },
  );
});

it("reads up to the limit and not a byte over it", () => {
  const path = join(temporaryFolder(), "f");
  writeFileSync(path, "x".repeat(1_000));
  expect(noteFile(path, "read", { maxFileBytes: 1_000 }).hash).toBe(sha256("x".repeat(1_000)));
  expect(noteFile(path, "read", { maxFileBytes: 999 })).toEqual({
    path,
    hash: null,
    skipped: "too large",
    action: "read",
  });
});

it("does not read secrets, pipes, folders, devices that never end, and relative paths, and says why", () => {
  const at = temporaryFolder();
  write(at, { ".env": "A=1", "sub/key.pem": "x", "f.txt": "x" });
  execFileSync("mkfifo", [join(at, "pipe")]);
  expect(why(join(at, ".env"))).toBe("looks secret");
  expect(why(join(at, "sub/key.pem"))).toBe("looks secret");
  expect(why(join(at, "pipe"))).toBe("not a regular file");
  expect(why(join(at, "sub"))).toBe("not a regular file");
  expect(why("/dev/zero")).toBe("not a regular file");
  expect(why("f.txt")).toBe("not an absolute path");
  expect(why(join(at, "nowhere"))).toBe("not there");
  expect(why(join(at, "f.txt", "below"))).toBe("not there");
  expect(why(`${at}/\0`)).toBe("unreadable");
  // Grows without an end that its size tells: counted while it is read.
  expect(noteFile("/proc/self/maps", "noted", { maxFileBytes: 10 }).skipped).toBe("too large");
  symlinkSync("f.txt", join(at, "link"));
  expect(noteFile(join(at, "link"), "noted", LIMITS).hash).toBe(sha256("x"));
  symlinkSync("loop", join(at, "loop"));
  expect(why(join(at, "loop"))).toBe("unreadable");
});

it("distinguishes same, changed and missing files, and what it cannot know", () => {
  const at = temporaryFolder();
  write(at, { same: "s", changed: "c", gone: "g", back: "b", ".env": "A=1", ".env.gone": "A=1" });
  rmSync(join(at, "back"));
  const notes = ["same", "changed", "gone", "back", "never", ".env", ".env.gone"].map((name) =>
    noteFile(join(at, name), "edited", LIMITS),
  );
  write(at, { changed: "C", back: "b again", ".env": "A=2" });
  rmSync(join(at, "gone"));
  rmSync(join(at, ".env.gone"));
  expect(states(notes)).toEqual(["same", "changed", "missing", "changed", "deleted", "unknown", "missing"]);
  expect(compareFiles(notes.slice(0, 1))).toEqual([{ ...notes[0], now: "same" }]);
});

it("an unverified note, a relative path, and a file that became a folder are reported as such", () => {
  const at = temporaryFolder();
  write(at, { f: "x", g: "y" });
  const note = noteFile(join(at, "g"), "edited", LIMITS);
  rmSync(join(at, "g"));
  mkdirSync(join(at, "g"));
  const unseen: FileNote = { path: join(at, "f"), hash: null, action: "read" };
  const relative = noteFile("f", "edited", LIMITS);
  expect(states([unseen, { ...unseen, path: join(at, "none") }, relative, note])).toEqual([
    "unknown",
    "unknown",
    "unknown",
    "unknown",
  ]);
});

it("reads 500 files and 128 MiB at most", () => {
  const note: FileNote = { path: "/some/file", hash: sha256("x"), action: "edited" };
  const asked: number[] = [];
  const look =
    (bytes: number) =>
    (_path: string, max: number): FileFacts => {
      asked.push(max);
      return bytes > max
        ? { isThere: true, hash: null, skipped: "too large", bytes: 0 }
        : { isThere: true, hash: sha256("x"), bytes };
    };
  const many = compareFiles(
    Array.from({ length: 502 }, () => note),
    look(1),
  );
  expect(many.filter(({ now }) => now === "same")).toHaveLength(500);
  expect(many.slice(500).map(({ now }) => now)).toEqual(["unknown", "unknown"]);
  const large = compareFiles(
    Array.from({ length: 20 }, () => note),
    look(16_000_000),
  );
  expect(large.filter(({ now }) => now === "same")).toHaveLength(8);
  expect(Math.max(...asked)).toBe(16_777_216);
});

it("knows nothing of a file whose folder is closed", () => {
  const path = "/some/closed/file";
  const notes: FileNote[] = [
    { path, hash: sha256("x"), action: "edited" },
    { path, hash: null, skipped: "not there", action: "edited" },
  ];
  expect(compareFiles(notes, closed).map(({ now }) => now)).toEqual(["unknown", "unknown"]);
});

it.skipIf(process.getuid?.() === 0)("notes a file that may not be opened as unreadable", () => {
  const path = join(temporaryFolder(), "closed");
  writeFileSync(path, "x");
  chmodSync(path, 0o000);
  expect(noteFile(path, "read", LIMITS)).toEqual({ path, hash: null, skipped: "unreadable", action: "read" });
});

it("knows secrets by their names, and leaves programs and settings with similar names", () => {
  const secrets = String.raw`
    .env .ENV .env.local a/b/.envrc prod.env .dev.vars x.pem X.KEY a.p12 a.pfx id_rsa id_rsa.bak id_ed25519 .netrc
    _netrc .pgpass .git-credentials credentials credentials.json credentials.csv secrets.yml secrets-prod.yaml
    my-service-account.json terraform.tfvars terraform.tfstate terraform.tfstate.backup .ssh/config .aws/config
    kubeconfig prod.kubeconfig AuthKey_AB12.p8 backup.gpg release.asc server.der wallet.dat deploy_key
    aws-credentials secrets.prod.yaml values-secrets.yaml .terraformrc .vault_pass passwords.txt api_key.txt
    cookies.txt env.production a.env.bak shop-firebase-adminsdk-1a2b.json C:\x\.env`
    .trim()
    .split(/\s+/);
  const others = `
    env.ts environment.ts credentials.ts credential-provider.ts secrets.go secret-names.ts rotate-secrets
    reset-password password-policy.json tokens.json env key.ts keys.json pem.md README.md id.rs package.json
    .npmrc monkey src/.gitignore tfstate.py ssh/config`
    .trim()
    .split(/\s+/);
  expect(secrets.filter((name) => !isSecretName(name))).toEqual([]);
  expect(others.filter(isSecretName)).toEqual([]);
});

it("finds a token in npm settings, and none in a reference to the environment", () => {
  expect(hasNpmToken("//registry.example/:_authToken=npm_abc")).toBe(true);
  expect(hasNpmToken("fund=false\n_auth = abc\n")).toBe(true);
  expect(hasNpmToken("//r/:_password=abc")).toBe(true);
  expect(hasNpmToken("//registry.example/:_authToken=${NPM_TOKEN}\nfund=false\n")).toBe(false);
  expect(hasNpmToken("registry=https://registry.example/\nalways-auth=true\n")).toBe(false);
});
