#!/bin/sh
# Fetch a release of doc2md-docker, check it, and put the program into a folder.
# usage: sh install.sh [VERSION]
#   VERSION                      such as 0.1.0; the newest one by default
#   DOC2MD_DOCKER_REPOSITORY     where releases are: an address such as https://github.com/OWNER/NAME
#   DOC2MD_DOCKER_INSTALL_DIR    where the program goes: ~/.local/bin by default
set -eu

repository=${DOC2MD_DOCKER_REPOSITORY:-@REPOSITORY@}
folder=${DOC2MD_DOCKER_INSTALL_DIR:-$HOME/.local/bin}

fail() {
  echo "error: $1" >&2
  exit 1
}

case $repository in
  @*) fail "DOC2MD_DOCKER_REPOSITORY names no address that releases are fetched from" ;;
esac
case $(uname -s) in
  Linux) system=unknown-linux-musl ;;
  Darwin) system=apple-darwin ;;
  *) fail "there is no release for $(uname -s); on Windows, use WSL 2" ;;
esac
case $(uname -m) in
  x86_64 | amd64) machine=x86_64 ;;
  aarch64 | arm64) machine=aarch64 ;;
  *) fail "there is no release for $(uname -m)" ;;
esac

fetch() {
  if command -v curl >/dev/null; then
    curl --fail --silent --show-error --location "$1" --output "$2"
  elif command -v wget >/dev/null; then
    wget --quiet "$1" --output-document "$2"
  else
    fail "neither curl nor wget is there"
  fi || fail "failed to fetch $1"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

releases=$repository/releases
if [ $# -gt 0 ]; then from=$releases/download/v$1; else from=$releases/latest/download; fi
fetch "$from/SHA256SUMS" "$work/SHA256SUMS"
archive=$(sed -n "s/^[0-9a-f]\{64\} [ *]\(doc2md-docker-[0-9A-Za-z.+-]*-$machine-$system\.tar\.gz\)\$/\1/p" "$work/SHA256SUMS")
[ -n "$archive" ] || fail "that release has nothing for $machine-$system"
fetch "$from/$archive" "$work/$archive"

grep " [ *]$archive\$" "$work/SHA256SUMS" >"$work/sum"
if command -v sha256sum >/dev/null; then check=sha256sum; else check='shasum -a 256'; fi
(cd "$work" && $check -c sum >/dev/null 2>&1) || fail "$archive is not what SHA256SUMS says: nothing was installed"

tar -C "$work" -xzf "$work/$archive"
mkdir -p "$folder"
# A program that runs is replaced, not written over.
cp "$work/${archive%.tar.gz}/doc2md-docker" "$folder/.doc2md-docker.$$"
chmod 755 "$folder/.doc2md-docker.$$"
mv -f "$folder/.doc2md-docker.$$" "$folder/doc2md-docker"
echo "installed $("$folder/doc2md-docker" --version) in $folder"
case :$PATH: in
  *":$folder:"*) ;;
  *) echo "hint: $folder is not in PATH" ;;
esac
