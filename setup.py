"""How gitdeploy is installed: ``pip install .`` gives the command ``gitdeploy``.

The packages are gitdeploy (the server) and buildless (application packages; also copied to nodes). hooks/ and node-setup/
stand at the top of the project because people look for them there; installed, they lie inside the gitdeploy package.
"""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

setup(
    name="gitdeploy",
    version="0.1.0",
    description="A git-push deploy server for Debian machines",
    long_description=(HERE / "README.rst").read_text(encoding="utf-8"),
    long_description_content_type="text/x-rst",
    license="MIT",
    python_requires=">=3.11",
    packages=[
        *find_packages(include=["gitdeploy", "gitdeploy.*", "buildless", "buildless.*"]),
        "gitdeploy._hooks",
        "gitdeploy._node_setup",
    ],
    package_dir={"gitdeploy._hooks": "hooks", "gitdeploy._node_setup": "node-setup"},
    package_data={
        "gitdeploy": ["py.typed", "*.yaml", "web/templates/*", "nodes/templates/*", "develop/templates/*/*"],
        "gitdeploy._hooks": ["*"],
        "gitdeploy._node_setup": ["*", "**/*"],
        "buildless": ["py.typed", "*.yaml", "start/*.py", "node/templates/*.jinja"],
    },
    install_requires=[
        "dulwich>=1.0",
        "twisted[conch]>=24.7",
        "PyYAML>=6",
        "apache-libcloud>=3.8",
        "jinja2>=3.1",
        "gunicorn>=20.1",
        "h11>=0.14",
        "whitenoise>=6.5",
    ],
    extras_require={
        "test": [
            "pytest>=8",
            "pytest-xdist>=3.8",
            "hypothesis>=6",
            "docutils>=0.20",
            "jsonschema>=4",
            "moto[ec2,server]>=5",
        ],
        "check": ["ruff", "mypy", "mypy-zope", "types-PyYAML", "vermin"],
    },
    entry_points={"console_scripts": ["gitdeploy = gitdeploy.cli:main"]},
    classifiers=[
        "Framework :: Twisted",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Topic :: Software Development :: Version Control :: Git",
        "Topic :: System :: Installation/Setup",
    ],
)
