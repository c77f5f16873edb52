/** File names that hold secrets by custom. Names only: content is looked at in one case, a token in `.npmrc`. */
const SECRET_NAMES: readonly RegExp[] = [
  /^\.env/,
  /\.env$/,
  /^\.dev\.vars/,
  /\.(pem|key|p12|pfx|jks|keystore|kdbx|ppk|keytab|ovpn)$/,
  /^id_(rsa|dsa|ecdsa|ed25519)/,
  /^[._]netrc$/,
  /^\.(pgpass|my\.cnf|pypirc|git-credentials|htpasswd|dockercfg|vault-token|boto|s3cfg)$/,
  // Data, not source: `credentials.ts` is a program's own text.
  /^\.?(credentials?|secrets?)([-_][^.]*)?(\.(json|ya?ml|toml|ini|xml|csv|txt|conf|cfg|properties|db|enc|bak))?$/,
  /service[-_]?account.*\.json$/,
  /\.tfvars(\.json)?$/,
  /\.tfstate(\..*)?$/,
  /^kubeconfig/,
  /^secring\./,
];

const SECRET_FOLDERS = new Set([".ssh", ".gnupg", ".aws", ".kube"]);

/** [GS7] True for a path whose name says that it holds a secret: it is neither copied nor read. */
export function looksSecret(path: string): boolean {
  const parts = path.toLowerCase().split(/[/\\]/);
  const name = parts.pop() ?? "";
  return parts.some((part) => SECRET_FOLDERS.has(part)) || SECRET_NAMES.some((pattern) => pattern.test(name));
}

/** A token, password or login in an npm settings file; a reference to the environment is none. */
export function hasNpmToken(content: string): boolean {
  return /(^|[:\s])(_authToken|_auth|_password|password)\s*=\s*(?!\$\{)\S/im.test(content);
}

export function isNpmSettings(path: string): boolean {
  return /(^|[/\\])\.npmrc$/i.test(path);
}
