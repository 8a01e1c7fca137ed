"""The languages of the READMEs and of the notebooks, and all that a program says in them."""

from __future__ import annotations

from typing import NamedTuple

from captcha_helpers.results import HEADINGS


class Language(NamedTuple):
    """What the tools write into the README, the pages and the notebooks of one language.

    Attributes:
        code: The language, as browsers name it. ``i18n/zh-CN`` has the catalogues of zh-CN.
        name: The language in its own words.
        notebooks: The folder of its notebooks.
        not_translated: What stands above a cell that is in English still.
        pages: The folder of the pages that the README leads to.
        percent: What stands behind a number of per cent.
        results: Headings of the table of results, by the name of the column.
        benchmarks: Headings of the tables of benchmarks.
        no_address: How to open the notebooks on Colab while the repository has no address.
    """

    code: str
    name: str
    notebooks: str
    not_translated: str
    pages: str
    percent: str
    results: dict[str, str]
    benchmarks: dict[str, str]
    no_address: str


READMES = {
    "README.md": Language(
        code="en",
        name="English",
        notebooks="notebooks",
        not_translated="",
        pages="docs",
        percent=" %",
        results=HEADINGS,
        benchmarks={
            "set": "Images",
            "reader": "Reader",
            "labels": "Labels",
            "seconds": "CPU-seconds",
            "exact_match": "Exact match",
            "exact_match_ci95": "95 % interval",
            "exact_match_ignore_case": "Ignoring case",
            "n": "n",
        },
        no_address="On Colab: `make colab` makes `dist/captcha-helpers-colab.zip` (it needs git, "
        "no environment). Open a notebook and run its first code cell; it asks for that file.",
    ),
    "README_zh-CN.md": Language(
        code="zh-CN",
        name="简体中文",
        notebooks="notebooks_zh-CN",
        not_translated="本节待更新",
        pages="docs/zh-CN",
        percent="%",
        results={
            "notebook": "笔记本",
            "model": "模型",
            "style": "样式",
            "exact_match": "整串准确率",
            "exact_match_ci95": "95% 置信区间",
            "cer": "字符错误率",
            "n": "测试图片数",
            "train_images": "训练图片数",
            "parameters": "参数量",
            "seconds": "训练秒数",
        },
        benchmarks={
            "set": "图片",
            "reader": "识别器",
            "labels": "标签数",
            "seconds": "CPU 秒",
            "exact_match": "整串准确率",
            "exact_match_ci95": "95% 置信区间",
            "exact_match_ignore_case": "不分大小写",
            "n": "n",
        },
        no_address="在 Colab 上：`make colab` 会生成 `dist/captcha-helpers-colab.zip`"
        "（只需要 git，不需要虚拟环境）。打开笔记本并运行第一个代码单元，它会请你上传这个文件。",
    ),
}
ENGLISH, *TRANSLATIONS = READMES.values()
