# Two targets; neither runs as root, and each has but one port.
#
#   docker build --target service -t captcha-service .
#   docker run --rm -p 127.0.0.1:8000:8000 -v "$PWD/exported:/models:ro" captcha-service /models/model.onnx
#
#   docker build --target lab -t captcha-lab .
#   docker run --rm -p 127.0.0.1:8888:8888 captcha-lab
#
# Who publishes port 8000 otherwise than to 127.0.0.1 offers the service, which has no passwords, to
# the network.

FROM python:3.12-slim AS base
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 ORT_DISABLE_TELEMETRY=1
RUN useradd --create-home --uid 1000 learner
WORKDIR /captcha-helpers
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY captcha_helpers captcha_helpers

FROM base AS lab
# As in the Makefile, which says why.
ENV MALLOC_MMAP_THRESHOLD_=4294967296 \
    MALLOC_TRIM_THRESHOLD_=17179869184 \
    MALLOC_TOP_PAD_=268435456
RUN pip install -c constraints.txt -e '.[lab]'
COPY captcha_images captcha_images
COPY notebooks notebooks
COPY notebooks_zh-CN notebooks_zh-CN
COPY docs/images docs/images
COPY results results
COPY tools/ipython_kernel_config.json /usr/local/etc/ipython/
RUN chown -R learner notebooks notebooks_zh-CN results
USER learner
EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--port=8888", "--no-browser", "--LabApp.default_url=/lab/tree/notebooks"]

FROM base AS service
RUN pip install -c constraints.txt '.[serve]'
USER learner
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["captcha-helpers", "serve", "--host", "0.0.0.0"]
CMD ["--help"]
