"""Compiles Python files, or takes the bytecode that an earlier build made of the same file.

    xargs -0 python bytecode.py FOLDER < names of files, each ended by a zero byte

FOLDER keeps it, in a cache mount. What is kept goes by the content of a file, its path (which tracebacks show) and the Python,
never by times, and so does Python when it reads it: "unchecked-hash" of PEP 552, for files that nobody changes in an image.
"""

import hashlib
import importlib.util
import os
import py_compile
import shutil
import sys


def compile_file(path, folder):
    with open(path, "rb") as file:
        digest = hashlib.sha256(b"\0".join([importlib.util.MAGIC_NUMBER, path.encode(), file.read()]))
    kept = os.path.join(folder, digest.hexdigest())
    compiled = importlib.util.cache_from_source(path)
    os.makedirs(os.path.dirname(compiled), exist_ok=True)
    try:
        shutil.copyfile(kept, compiled)
        return
    except FileNotFoundError:
        pass
    py_compile.compile(path, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    unfinished = f"{kept}.{os.getpid()}"
    shutil.copyfile(compiled, unfinished)
    os.replace(unfinished, kept)


def main(folder, *paths):
    os.makedirs(folder, exist_ok=True)
    for path in paths:
        try:
            compile_file(path, folder)
        except (py_compile.PyCompileError, UnicodeError):
            # Packages have templates and files for other Pythons.
            pass


main(*sys.argv[1:])
