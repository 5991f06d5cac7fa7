import time
def test_x(cloud):
    cloud.runs("echo step 1; echo warn >&2; exit 0", "echo two")
    cloud.states=["RUNNING"]
    t=time.time()
    p=cloud.submit("--target=gpu-vm","--config=configs/digits_cnn.py","--workdir=gs://b/run","--project=p","--zone=us-central1-a","--accelerator=nvidia-l4","--poll_seconds=1","--hosts=2")
    out,err=p.communicate()
    print(out); print("ERR",err[-6000:]); print(p.returncode, time.time()-t)
    for r in cloud.requests: print(str(r)[:1300])
    print((cloud.folder/'started').read_text())
def test_v(cloud):
    cloud.logs=["hello", "step 2"]
    cloud.job_states=[("JOB_STATE_PENDING",None),("JOB_STATE_RUNNING",None),("JOB_STATE_SUCCEEDED",None)]
    t=time.time()
    p=cloud.submit("--target=vertex","--config=configs/digits_cnn.py","--project=p","--zone=us-central1-a","--accelerator=nvidia-l4","--poll_seconds=1","--hosts=3","--bucket=b","--image=us-docker.pkg.dev/p/r/i")
    out,err=p.communicate()
    print(out); print("ERR",err[-6000:]); print(p.returncode, time.time()-t)
    for r in cloud.requests: print(str(r)[:1800])
